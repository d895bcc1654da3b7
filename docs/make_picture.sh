#!/bin/sh
# Makes the README's picture anew.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bluesky-diffractogram demo --no-window --output "$folder"
cp "$folder/diffractograms.png" "$(dirname "$0")/demo.png"

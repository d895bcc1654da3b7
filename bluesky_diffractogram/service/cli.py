"""The command line: puts the commands together, no more."""

from __future__ import annotations

import typer

from .check import check
from .control import control
from .demo import demo
from .integrate import integrate
from .replay import replay
from .serve import serve
from .warm_up import warm_up

app = typer.Typer(
    name="bluesky-diffractogram",
    help="Diffractograms of area-detector scans in Bluesky.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (demo, integrate, replay, serve, control, check, warm_up):
    app.command()(command)


def main() -> None:
    """Entry point of ``bluesky-diffractogram``."""
    app()

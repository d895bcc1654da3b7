"""Why a run cannot be replayed."""

from __future__ import annotations


class ReplayError(Exception):
    """A stored run that cannot be replayed; the message says why, and what to do."""

"""Why a frame cannot be had from its file."""

from __future__ import annotations


class NotReadable(Exception):
    """A frame that cannot be read now, and perhaps can be later: its file is not there, or does not hold it yet.

    Attributes
    ----------
    missing
        The path of the file that is not there, if it is that.
    """

    def __init__(self, message: str, missing: str | None = None) -> None:
        super().__init__(message)
        self.missing = missing


class NotThere(NotReadable):
    """Nothing of a file can be read now: it is not there, or cannot be opened."""


class Unreadable(Exception):
    """A frame that will never be readable: what the file holds is no image, or is damaged, or must not be opened."""

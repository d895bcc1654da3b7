"""Frames that are reduced elsewhere before their turn here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from ..reduction.dark import AnyDark
from ..reduction.diffractogram import Reduction
from ..reduction.frame import FrameError
from .messages import ImagesReceived, Message

Shape = tuple[int, int]


@dataclass(frozen=True, eq=False, slots=True)
class Reduced:
    """What a frame became.

    Attributes
    ----------
    total
        How many frames its event holds.
    shape
        ``(ny, nx)`` as it was stored.
    found
        Its reduction, or why there is none. Image and dark may be left out of it.
    dark
        The digest of the dark that was subtracted, where darks come with the frames; empty for none.
    """

    total: int
    shape: Shape
    found: Reduction | FrameError
    dark: str = ""

    def reduction(self, dark: AnyDark | None) -> tuple[Shape, Reduction]:
        """Shape and reduction, with this dark in its frame.

        Raises
        ------
        FrameError
            There is none.
        """
        if isinstance(self.found, FrameError):
            raise self.found
        return self.shape, replace(self.found, frame=replace(self.found.frame, dark=dark))


class Ahead(Protocol):
    """Somebody who reduces frames while earlier ones are dealt with here.

    It sees every message, in order, before its turn has come, and is asked for the frames when it has. What it does
    not have is reduced here; so it may leave out whatever it likes.
    """

    @property
    def full(self) -> bool:
        """Whether some of what it has is to be taken before it sees more."""
        ...

    def see(self, message: Message) -> bool:
        """Look at a message; False if it must not wait, because this, or what follows, has to be done here first."""
        ...

    def learn(self, images: ImagesReceived, shape: Shape) -> None:
        """A frame of `shape` was reduced here; the first of a run's may say what its detector's shape is."""
        ...

    def take(self, images: ImagesReceived, index: int) -> Reduced | None:
        """What the frame `index` of an event became; waits for it, and is None where it is to be reduced here.

        Raises
        ------
        FrameError
            None of the frames of the event can be had.
        """
        ...

    def alone(self, images: ImagesReceived) -> bool:
        """Whether of this event a single frame is to be read here, where it is not taken, before it is asked again."""
        ...

    def done(self, images: ImagesReceived) -> None:
        """An event will not be asked for again."""
        ...

"""Events whose files cannot be read yet, and files that were waited for in vain."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ..files import NotReadable, NotThere
from ..reduction.dark import Dark
from .assets import Assets
from .darks import DarkInForce
from .messages import ImagesReceived

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class ParkedImages:
    """An event with images, how many of its frames are done, and how many there are if that is known.

    From when its turn has come it has the dark that is in force then, and for its frames `dark`, if they want one. An
    event that `is_dark` itself has neither.
    """

    images: ImagesReceived
    done: int = 0
    total: int | None = None
    is_dark: bool = False
    in_force: DarkInForce | None = None
    dark: Dark | None = None

    @property
    def left(self) -> int:
        """How many frames it still counts as."""
        return (self.images.frames if self.total is None else self.total) - self.done


class AwaitedInVain:
    """The files of one run of which nothing could be read in time: it is not tried again for each of their frames.

    Parameters
    ----------
    run_uid
        The raw run.
    assets
        Knows which resource images belong to.
    file_timeout
        How many seconds after the run's end were waited for.
    """

    def __init__(self, run_uid: str, assets: Assets, file_timeout: float) -> None:
        self._run_uid, self._assets, self._file_timeout = run_uid, assets, file_timeout
        self._reasons: dict[str, str] = {}

    def reason(self, images: ImagesReceived) -> str | None:
        """Why these images cannot be read either, if that is known."""
        if not self._reasons or not images.in_file:  # in memory, it only waited for one before it
            return None
        return self._reasons.get(self._assets.resource_of(images) or "")

    def give_up(self, images: ImagesReceived, error: NotReadable) -> tuple[str, bool]:
        """Why frames are skipped that could not be read in time, and whether all of that event are meant."""
        why = f"not readable {self._file_timeout:g} s after the run's end: {error}"
        if not isinstance(error, NotThere):
            return why, False
        resource = self._assets.resource_of(images)
        if resource is not None:
            self._reasons[resource] = why
            if self._file_timeout > 0:  # else it is a replay, which says more
                hint = "run %s: if its files lie in another folder on this machine, say so with root_map={there: here}"
                logger.warning(hint, self._run_uid)
        return why, True

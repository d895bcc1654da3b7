"""Events whose files cannot be read yet, and files that were waited for in vain."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import Any

from ..files import NotReadable, NotThere
from ..reduction.dark import AnyDark
from .assets import Assets
from .dark_in_force import DarkInForce, Lack
from .messages import ImagesReceived

logger = logging.getLogger(__name__)

HINT = "if its files lie in another folder on this machine, say so with root_map={there: here}"


@dataclass(eq=False, slots=True)
class ParkedImages:
    """An event with images, how many of its frames are done, and how many there are if that is known.

    From when its turn has come it has the dark that is in force then, and for its frames `dark`, if they want one, and
    which detectors it lacks for having none. An event that `is_dark` itself has none of these.
    """

    images: ImagesReceived
    done: int = 0
    total: int | None = None
    is_dark: bool = False
    in_force: DarkInForce | None = None
    dark: AnyDark | None = None
    lacks: list[Lack] = field(default_factory=list)

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
        self._waited = self._hinted = False

    def reason(self, images: ImagesReceived) -> str | None:
        """Why these images cannot be read either, if that is known."""
        if not self._reasons or not images.in_file:  # in memory, it only waited for one before it
            return None
        return self._reasons.get(self._assets.resource_of(images) or "")

    def wait(self, images: ImagesReceived, error: NotReadable) -> None:
        """Say of the first file that is waited for where it is looked for, and of a folder that is not there loudly."""
        if error.missing is None or self._waited or self._file_timeout <= 0:
            return
        self._waited = True
        where = "run %s, seq_num %s: %s is not there"
        told = self._run_uid, images.event["seq_num"], error.missing
        if os.path.isdir(os.path.dirname(error.missing)):
            logger.info(f"{where} yet; it is waited for, up to %g s after the run's end", *told, self._file_timeout)
        else:
            self._hint(f"{where}, and neither is its folder, so far", *told)

    def give_up(self, images: ImagesReceived, error: NotReadable) -> tuple[str, bool]:
        """Why frames are skipped that could not be read in time, and whether all of that event are meant."""
        why = f"not readable {self._file_timeout:g} s after the run's end: {error}"
        if error.missing is not None and self._file_timeout > 0:  # else it is a replay, which says more
            self._hint("run %s: %s is not there", self._run_uid, error.missing)
        if not isinstance(error, NotThere):
            return why, False
        resource = self._assets.resource_of(images)
        if resource is not None:
            self._reasons[resource] = why
        return why, True

    def _hint(self, message: str, *told: Any) -> None:
        """Say once what may help where files are not found."""
        if not self._hinted:
            self._hinted = True
            logger.warning(f"{message}; {HINT}", *told)

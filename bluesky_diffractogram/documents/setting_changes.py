"""Under which settings the images of a run came: what a replay needs of one that was configured anew on the way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .messages import ImagesReceived
from .provenance import inputs_text
from .setting import Setting

logger = logging.getLogger(__name__)

MOST_CHANGES = 10_000


@dataclass(frozen=True, slots=True)
class _Noted:
    stream: str
    seq_num: int
    setting: int  # its number
    described: Mapping[str, Any]


class SettingChanges:
    """Notes from which image of one run on another setting was in force, be it a frame, a dark, or one that is skipped.

    Derived events tell of the frames that were reduced, and not with which setting a dark was read.
    """

    def __init__(self) -> None:
        # A setting itself holds arrays, of which as many would be kept as there are changes.
        self._noted: list[_Noted] = []
        self._full = False

    def note(self, images: ImagesReceived, setting: Setting) -> None:
        """An image's turn has come, under a setting."""
        number = setting.stream_number
        if self._noted and self._noted[-1].setting == number:
            return
        if len(self._noted) >= MOST_CHANGES:
            if not self._full:
                self._full = True
                what = "run %s: settings were changed %d times; a replay takes the last of them from seq_num %s on"
                logger.warning(what, images.run_uid, MOST_CHANGES, images.event["seq_num"])
            return
        place = images.descriptor["name"], int(images.event["seq_num"])
        self._noted.append(_Noted(*place, number, setting.provenance))

    def document(self, stream_of: Callable[[int], str | None]) -> list[dict[str, Any]]:
        """For the derived stop document; empty where nothing was changed.

        Parameters
        ----------
        stream_of
            Gives the derived stream of a setting's number, if it has one.

        Returns
        -------
        list of dict
            From the image of ``stream`` and ``seq_num`` on, settings are those of the derived stream ``as``, or what
            ``configuration`` and ``provenance`` say in the words of its descriptor.
        """
        return [_entry(noted, stream_of) for noted in self._noted] if len(self._noted) > 1 else []


def _entry(noted: _Noted, stream_of: Callable[[int], str | None]) -> dict[str, Any]:
    place: dict[str, Any] = {"stream": noted.stream, "seq_num": noted.seq_num}
    derived = stream_of(noted.setting)
    if derived is not None:
        return {**place, "as": derived}
    return {**place, "configuration": noted.described["configuration"], "provenance": inputs_text(noted.described)}

"""Under which settings the images of a run came: what a replay needs of one that was configured anew on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .messages import ImagesReceived
from .provenance import inputs_text
from .setting import Setting

MOST_CHANGES = 10_000


class SettingChanges:
    """Notes from which image of one run on another setting was in force, be it a frame, a dark, or one that is skipped.

    Derived events tell of the frames that were reduced, and not with which setting a dark was read.
    """

    def __init__(self) -> None:
        self._noted: list[tuple[str, int, Setting]] = []

    def note(self, images: ImagesReceived, setting: Setting) -> None:
        """An image's turn has come, under a setting."""
        if self._noted and self._noted[-1][2].stream_number == setting.stream_number:
            return
        if len(self._noted) < MOST_CHANGES:
            self._noted.append((images.descriptor["name"], int(images.event["seq_num"]), setting))

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
        return [self._entry(*noted, stream_of) for noted in self._noted] if len(self._noted) > 1 else []

    @staticmethod
    def _entry(stream: str, seq_num: int, setting: Setting, stream_of: Callable[[int], str | None]) -> dict[str, Any]:
        place: dict[str, Any] = {"stream": stream, "seq_num": seq_num}
        derived = stream_of(setting.stream_number)
        if derived is not None:
            return {**place, "as": derived}
        described = setting.provenance
        return {**place, "configuration": described["configuration"], "provenance": inputs_text(described)}

"""Editing the numbers of one range at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from bluesky_diffractogram.config import ConfigError, DiffractogramConfig

from .entry_box import EntryBox
from .push_button import Focus

PLACES = ("azimuth start", "azimuth end", "radial start", "radial end")

Changes = Callable[[DiffractogramConfig], dict[str, Any]]
"""Gives what is to be changed in the configuration that is in force then."""


class RangeEditor:
    """Four boxes for the limits of a range, an empty one for no limit.

    They are applied together: Enter, or a click elsewhere, when all are as wanted. Those that nobody has typed into
    stay as they are in force. While one holds what is no number, or they are refused together, all stay as they were
    typed, and none is applied.

    Parameters
    ----------
    boxes
        For azimuth start and end, radial start and end.
    focus
        The controls' shared `Focus`.
    apply
        Called with the changes, and the boxes that they are from.
    refused
        Called with the reason if what was typed is no number; with nothing if all is as it was.
    """

    def __init__(
        self,
        boxes: Sequence[EntryBox],
        focus: Focus,
        apply: Callable[[Changes, Sequence[EntryBox]], Any],
        refused: Callable[[str], Any],
    ) -> None:
        self.number = 1
        self._boxes = tuple(boxes)
        self._focus, self._apply, self._refused = focus, apply, refused
        for box in self._boxes:
            box.ring = self._boxes

    def step(self, by: int, config: DiffractogramConfig) -> None:
        """Go to another range; at the last begins the first. What was typed and is not applied is forgotten."""
        self.number = (self.number - 1 + by) % config.diff_number + 1
        self._reset(config)

    def show(self, config: DiffractogramConfig) -> None:
        """Show the limits as they are written in `config`, but for what somebody is typing."""
        if self.number > config.diff_number:
            self.number = config.diff_number
            self._reset(config)
        for box, text in zip(self._boxes, _texts(config, self.number), strict=True):
            box.show(text)

    def submitted(self, box: EntryBox, text: str) -> None:
        """A box was left: apply what was typed into all four, unless the person only went on to the next."""
        number, values, wrong = self.number, {}, []
        for place, each in enumerate(self._boxes):
            if not each.edited:
                continue
            try:
                values[place] = _value(each.text, PLACES[place], number)
            except ConfigError as error:
                wrong.append(str(error))
                each.refuse()
        if self._focus.typing in self._boxes:
            return
        if wrong or not values:
            self._refused("; and ".join(wrong))
            return
        self._apply(partial(changed_range, number=number, values=values), [self._boxes[place] for place in values])

    def _reset(self, config: DiffractogramConfig) -> None:
        for box, text in zip(self._boxes, _texts(config, self.number), strict=True):
            box.reset(text)


def changed_range(config: DiffractogramConfig, number: int, values: Mapping[int, float | None]) -> dict[str, Any]:
    """The changes that give range `number` other limits, and leave all else as it is in `config`.

    Parameters
    ----------
    values
        Limits by their place, from 0, in the four entries of the range.

    Returns
    -------
    dict
        ``diff_ranges``, and ``diff_number``, which otherwise follows the number of ranges.

    Raises
    ------
    ConfigError
        There is no such range any more.
    """
    if number > config.diff_number:
        raise ConfigError("range", number, f"a range from 1 to {config.diff_number}", "it is no longer there")
    ranges: list[Any] = [*config.diff_ranges, *[None] * (number - len(config.diff_ranges))]
    entry = list(written_range(config, number))
    for place, value in values.items():
        entry[place] = value
    ranges[number - 1] = None if all(value is None for value in entry) else entry
    return {"diff_ranges": ranges, "diff_number": config.diff_number}


def written_range(config: DiffractogramConfig, number: int) -> Sequence[float | None]:
    """The four limits as they are written; none where the range is not."""
    entry = config.diff_ranges[number - 1] if number <= len(config.diff_ranges) else None
    return entry or (None,) * 4


def _texts(config: DiffractogramConfig, number: int) -> list[str]:
    return ["" if value is None else f"{value:.10g}" for value in written_range(config, number)]


def _value(text: str, place: str, number: int) -> float | None:
    """A number; an integer stays one, so that it is written back as it was typed."""
    text = text.strip().replace("−", "-").replace(",", ".")
    if not text or text.lower() in ("null", "none"):
        return None
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"{place} of range {number}", text, "a number, or nothing for no limit") from None
    return int(value) if value.is_integer() and abs(value) < 1e15 and "." not in text else value

"""Editing the numbers of one range at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bluesky_diffractogram.config import ConfigError, DiffractogramConfig

from .entry_box import EntryBox
from .push_button import Focus

PLACES = ("azimuth start", "azimuth end", "radial start", "radial end")


class RangeEditor:
    """Four boxes for the limits of a range, an empty one for no limit.

    They are applied together: Enter, or a click elsewhere, when all are as wanted.

    Parameters
    ----------
    boxes
        For azimuth start and end, radial start and end.
    focus
        The controls' shared `Focus`.
    apply
        Called with a function that gives, for the configuration in force, the changes.
    refused
        Called with the reason if what was typed is no number.
    """

    def __init__(
        self,
        boxes: Sequence[EntryBox],
        focus: Focus,
        apply: Callable[[Callable[[DiffractogramConfig], dict[str, Any]]], Any],
        refused: Callable[[str], Any],
    ) -> None:
        self.number = 1
        self._boxes = tuple(boxes)
        self._focus, self._apply, self._refused = focus, apply, refused
        self._config: DiffractogramConfig | None = None
        for box in self._boxes:
            box.ring = self._boxes

    @property
    def typing(self) -> bool:
        """Whether somebody types in one of the boxes; the others may hold what is not applied yet."""
        return any(box.typing for box in self._boxes)

    def step(self, by: int, config: DiffractogramConfig) -> None:
        """Go to another range; at the last begins the first."""
        self.number = (self.number - 1 + by) % config.diff_number + 1
        self.show(config)

    def show(self, config: DiffractogramConfig) -> None:
        """Show the limits as they are written in `config`."""
        self._config = config
        self.number = min(self.number, config.diff_number)
        for box, text in zip(self._boxes, _texts(config, self.number), strict=True):
            box.show(text)

    def submitted(self, box: EntryBox, text: str) -> None:
        """A box was left: apply all four, unless the person only went on to the next."""
        if self._focus.typing in self._boxes:
            return
        number, texts = self.number, [each.text for each in self._boxes]
        try:
            values = [_value(each, place, number) for each, place in zip(texts, PLACES, strict=True)]
        except ConfigError as error:
            self._refused(str(error))
            return
        if self._config is not None and changed_range(self._config, number, values) == changed_range(
            self._config, number, _entry(self._config, number)
        ):
            self.show(self._config)
            return
        self._apply(lambda config: changed_range(config, number, values))


def changed_range(config: DiffractogramConfig, number: int, values: Sequence[float | None]) -> dict[str, Any]:
    """The changes that give range `number` other limits, and leave all else as it is.

    Returns
    -------
    dict
        ``diff_ranges``, and ``diff_number``, which otherwise follows the number of ranges.
    """
    ranges: list[Any] = [*config.diff_ranges, *[None] * (number - len(config.diff_ranges))]
    ranges[number - 1] = None if all(value is None for value in values) else list(values)
    return {"diff_ranges": ranges, "diff_number": config.diff_number}


def _entry(config: DiffractogramConfig, number: int) -> Sequence[float | None]:
    """The four limits as they are written; none where the range is not."""
    entry = config.diff_ranges[number - 1] if number <= len(config.diff_ranges) else None
    return entry or (None,) * 4


def _texts(config: DiffractogramConfig, number: int) -> list[str]:
    return ["" if value is None else f"{value:.10g}" for value in _entry(config, number)]


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

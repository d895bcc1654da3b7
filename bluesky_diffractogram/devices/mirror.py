"""Signals whose value is their parent's: read from there, and announced to those who have subscribed."""

from __future__ import annotations

from typing import Any

from ophyd import Signal


class MirrorSignal(Signal):
    """A signal that has no value of its own, so that it costs nothing while nobody listens to it.

    Subclasses say what `value_now` and `timestamp` are.
    """

    heard = False
    """Whether anybody has ever subscribed to the value."""

    def value_now(self) -> Any:
        """The parent's value for this signal."""
        raise NotImplementedError

    def get(self, **kwargs: Any) -> Any:
        """The value, as the parent has it now."""
        return self.value_now()

    def subscribe(self, callback: Any, event_type: str | None = None, run: bool = True) -> int:
        """Call `callback` with each new value, and with the present one at once if `run`; as any ophyd signal."""
        if event_type in (None, self.SUB_VALUE) and not self.heard:
            self.heard = True
            self.announce(self.value_now(), self.timestamp)
        return super().subscribe(callback, event_type=event_type, run=run)

    def announce(self, value: Any, timestamp: float) -> None:
        """Tell subscribers of a value, in the calling thread."""
        if self.heard:
            Signal.put(self, value, timestamp=timestamp, force=True)

    def _repr_info(self) -> Any:
        own = {"value": self.value_now(), "timestamp": self.timestamp}
        for key, value in super()._repr_info():
            yield key, own.get(key, value)

"""Commands as signals: called at the prompt, set or triggered in plans."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ophyd import Signal
from ophyd.status import Status


def in_a_thread(name: str, obj: Any, work: Callable[[], None]) -> Status:
    """Do `work` in a thread of its own; its status is finished then, or has its exception."""
    status = Status(obj)

    def run() -> None:
        try:
            work()
        except Exception as error:
            status.set_exception(error)
        else:
            status.set_finished()

    threading.Thread(target=run, name=name, daemon=True).start()
    return status


class CommandSignal(Signal):
    """A method of the parent, ``command_<attribute>``, as a signal.

    Call it, trigger it, or set it to 1; what it reads is how often it was commanded.
    """

    def __call__(self) -> None:
        """Do it, and return when it is done."""
        self._run()

    def trigger(self) -> Status:
        """Do it, off the RunEngine's thread."""
        return in_a_thread(f"{self.name}-command", self, self._run)

    def check_value(self, value: Any, **kwargs: Any) -> None:
        """Refuse what is neither 0 nor 1."""
        if isinstance(value, str) or value not in (0, 1):
            raise ValueError(f"{self.name} = {value!r}: allowed: 1 to do it, 0 for nothing")

    def put(self, value: Any, **kwargs: Any) -> None:
        """Do it if `value` is 1, and return when it is done.

        Raises
        ------
        ValueError
            It is neither 0 nor 1.
        """
        self.check_value(value)
        if value:
            self._run()

    def set(self, value: Any, **kwargs: Any) -> Status:
        """Do it if `value` is 1; finished when it is done.

        Raises
        ------
        ValueError
            It is neither 0 nor 1; no status is made then.
        """
        self.check_value(value)
        if value:
            return self.trigger()
        status = Status(self)
        status.set_finished()
        return status

    def _run(self) -> None:
        getattr(self.parent, f"command_{self.attr_name}")()
        super().put(self.get() + 1, force=True)

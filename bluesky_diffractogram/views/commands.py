"""What the controls command, and the thread in which that is done."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bluesky_diffractogram.config import ConfigError, DiffractogramConfig

if TYPE_CHECKING:
    from .entry_box import EntryBox

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a command.

    Attributes
    ----------
    refusal
        Why it was not done; empty if it was.
    said
        What there is to say if it was done.
    boxes
        Those in which it was typed.
    """

    refusal: str = ""
    said: str = ""
    boxes: Sequence[EntryBox] = ()


class Commands(Protocol):
    """What the controls need of a callback: any object that has it will do."""

    @property
    def config(self) -> DiffractogramConfig:
        """The configuration in force; another object after every change."""

    def configure(self, changes: Mapping[str, Any] | Callable[[DiffractogramConfig], Mapping[str, Any]], /) -> None:
        """Change the configuration, or raise ConfigError; a function gives the changes for the one in force."""

    def show(self, on: bool = True, /) -> None:
        """Reduce every frame, or none."""

    def next(self) -> None:
        """Reduce the current frame."""

    def collect(self, on: bool = True, /) -> None:
        """Whether diffractograms go into the buffers."""

    def reset(self) -> None:
        """Empty the buffers."""


class CommandThread:
    """Carries commands out, one after the other, in a thread of its own.

    A configuration reads calibration, mask, dark and flat from files, which may take seconds from a busy disk; the
    window stays alive meanwhile. What is refused becomes a message.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._waiting: set[Future[None]] = set()

    def do(self, command: Callable[[], Any], told: Callable[[str], Any]) -> None:
        """Carry `command` out after those before it.

        Parameters
        ----------
        command
            What is to be done.
        told
            Called in this object's thread when that is done, with the reason if it was refused, else an empty text.
        """
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(1, thread_name_prefix="diffractogram-controls")
            self._waiting = {each for each in self._waiting if not each.done()}
            self._waiting.add(self._executor.submit(_carry_out, command, told))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all commands are done; False if it took longer than `timeout` seconds."""
        with self._lock:
            waiting = set(self._waiting)
        return not wait(waiting, timeout).not_done

    def close(self) -> None:
        """Let the thread end when it has done all; it begins anew with the next command."""
        with self._lock:
            if self._executor is not None:
                self._executor.shutdown(wait=False)
                self._executor = None


def _carry_out(command: Callable[[], Any], told: Callable[[str], Any]) -> None:
    refusal = ""
    try:
        command()
    except ConfigError as error:
        logger.warning("refused: %s", error)
        refusal = str(error)
    except Exception as error:  # nobody could catch it here
        logger.exception("a command of the controls failed")
        refusal = f"{type(error).__name__}: {error}"
    told(refusal)

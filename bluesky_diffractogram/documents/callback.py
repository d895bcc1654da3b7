"""The callback: raw documents in, diffractograms out."""

from __future__ import annotations

import atexit
import functools
import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

from ..reduction.buffer import DiffractogramBuffer
from .ahead import Ahead
from .arrivals import Arrivals
from .assets import Assets
from .buffers import BufferNews
from .configured import Configured, Source
from .earlier import Earlier
from .fence import Fence
from .late_turns import LateTurns
from .messages import NextRequested, ResetRequested, SettingChanged
from .outgoing import Outgoing
from .pipeline import Pipeline
from .setting import Setting
from .subscribers import Patience
from .tally import COUNTS
from .turns import Turns

logger = logging.getLogger(__name__)

DRAIN_AT_EXIT_S = 30.0


class ReductionCallback(Configured, Outgoing):
    """Reduces the images of bluesky runs to diffractograms while they are taken.

    Subscribe it to a RunEngine, or call it with the documents of stored runs. It never raises into the scan
    (unless `strict`), and gives what it finds to its own subscribers as a bluesky run derived from the raw one.

    Parameters
    ----------
    config
        A configuration: a dictionary with the keys of lavue's diffractogram tool and ours, the same as JSON, or
        the path of a JSON or YAML file.
    background
        Reduce in a thread of its own (True), or in the thread that brings the documents.
    strict
        Re-raise what goes wrong in our own code, at once or, from the background, at the next document.
    handler_registry
        Readers by spec of Resource documents, in place of ours and beside those that are installed.
    root_map
        Where folders named in documents lie here: ``{there: here}``.
    roots
        Folders outside of which no file is opened, also not by a link in a file; None is no such limit.
    file_timeout
        How many seconds after a run's end its files may still become readable.
    block_timeout
        How many seconds the scan waits for room for one frame, with ``when_full: "block"``.
    ahead
        Reduces frames elsewhere, without `background`. Derived documents are late then, until `wait`.
    earlier
        Has frames that need not be reduced again.
    pixel_digests
        Say in derived events by which digest a frame is known that lies in memory, too: that takes longer than
        reducing it.

    Raises
    ------
    ConfigError
        The configuration cannot be used: names the key, the value and what is allowed.

    Examples
    --------
    >>> diff = DiffractogramCallback({"calibration": "lab6.poni", "diff_units": "q [1/A]"})  # doctest: +SKIP
    >>> RE.subscribe(diff)                                                                    # doctest: +SKIP
    """

    def __init__(
        self,
        config: Source,
        *,
        background: bool = True,
        strict: bool = False,
        handler_registry: Mapping[str, Any] | None = None,
        root_map: Mapping[str, str] | None = None,
        roots: Sequence[str] | None = None,
        file_timeout: float = 30.0,
        block_timeout: float = 5.0,
        ahead: Ahead | None = None,
        earlier: Earlier | None = None,
        pixel_digests: bool = False,
    ) -> None:
        Configured.__init__(self, config)
        Outgoing.__init__(self)
        self._strict = strict
        self._arriving = 0
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self.errors: Counter[str] = Counter()
        assets = Assets(handler_registry, root_map, roots, pixel_digests=pixel_digests)
        clock = time.time if background else None
        self._arrivals = Arrivals(clock, assets.text, lambda: self._setting, self._on_error)
        self._pipeline = Pipeline(
            self._setting, assets, self._subscribers.call, self._on_reduction, self._on_error, file_timeout,
            self._viewers, lambda: self._arrivals.latest, ahead, earlier, self._tell_of_buffers, self._tell_of_aside,
        )  # fmt: skip
        self._turns = Turns(self._pipeline, self._on_error)
        if ahead is not None and not background:
            self._turns = LateTurns(self._pipeline, self._on_error, ahead)
        if background:
            self._turns.start_worker(self._setting.config, block_timeout, assets.load_handlers)
        self._turns.put(SettingChanged(self._setting))
        self._at_exit = functools.partial(self.close, DRAIN_AT_EXIT_S, "interpreter exit")
        atexit.register(self._at_exit)

    # -- raw documents ------------------------------------------------------------------------------------

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one raw document of any run; it is not written to."""
        with self._lock:
            self._arriving += 1
        try:
            # The lock is not held while a message waits for room: a subscriber in the worker may need it.
            for message in self._arrivals.receive(name, doc):
                self._turns.put(message)
            self._turns.retry()
        except Exception as error:
            self._on_error(error)
        finally:
            with self._lock:
                self._arriving -= 1
        self._raise_if_strict()

    # -- what comes out -----------------------------------------------------------------------------------

    @property
    def latest_event(self) -> str | None:
        """The uid of the last event received that brings an image, be it reduced, waiting or passed over."""
        images = self._arrivals.latest
        return None if images is None else images.event["uid"]

    @property
    def latest_run(self) -> str | None:
        """The uid of the run of `latest_event`."""
        images = self._arrivals.latest
        return None if images is None else images.run_uid

    @property
    def processing(self) -> bool:
        """Whether something that was received waits in the queue, or is being reduced."""
        return self._arriving > 0 or self._turns.busy

    def parked(self, run_uid: str) -> bool:
        """Whether frames of this run wait for their files to become readable."""
        return self._pipeline.parked_in(run_uid)

    @property
    def buffers(self) -> tuple[DiffractogramBuffer, ...]:
        """The last diffractograms of each range; ``buffers[0]`` is buffer 1."""
        return self._pipeline.buffers

    @property
    def ignored(self) -> Counter[str]:
        """How many documents of each kind were passed over: their run was not seen to start, or the kind is unknown."""
        return Counter(self._arrivals.intake.ignored)

    @property
    def frames(self) -> dict[str, int]:
        """What became of the frames of all runs so far, in the words of the derived stop documents."""
        counts = self._pipeline.frames()
        return {name: counts[name] for name in (*COUNTS, "missing")}

    @property
    def open_runs(self) -> frozenset[str]:
        """The uids of the runs that have started and not stopped, those passed over too."""
        return self._arrivals.open_runs

    def fence(self) -> Fence:
        """Put up now, it tells when what has been received so far is dealt with."""
        return Fence(self._turns, self._subscribers)

    def abandon_silent(self, seconds: float) -> None:
        """Close the runs of which no document has come for so many seconds, as aborted: their stop was lost."""
        for message in self._arrivals.abandon_silent(seconds):
            self._turns.put(message)

    # -- commands -----------------------------------------------------------------------------------------

    def _put_in_force(self, setting: Setting) -> None:
        self._turns.limit(setting.config)
        self._setting = setting
        self._turns.put(SettingChanged(setting))
        self._setting_followers.call(setting)

    def next(self) -> None:
        """Reduce the current frame once, also while `show` is off or after the run; nothing before the first frame."""
        images, start = self._arrivals.latest_with_start()
        if images is not None:
            self._turns.put(NextRequested(images, self._setting, start))

    def reset(self) -> None:
        """Empty the buffers, also of frames that were received and are not reduced yet."""
        self._pipeline.reset()
        self._turns.put(ResetRequested())

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all that was received is reduced and delivered.

        Parameters
        ----------
        timeout
            In seconds; None waits for ever.

        Returns
        -------
        bool
            False if it took longer.

        Raises
        ------
        RuntimeError
            When called from the reduction's own thread.
        """
        left = Patience(timeout)
        done = self._turns.wait(timeout)
        done = self._subscribers.wait(left()) and self._results_subscribers.wait(left()) and done
        self._raise_if_strict()
        return done

    def close(self, timeout: float = DRAIN_AT_EXIT_S, reason: str = "closed") -> None:
        """Finish what was received, close the runs that are still open as aborted, and end the thread.

        Documents that come later are reduced in the thread that brings them.

        Parameters
        ----------
        timeout
            After so many seconds the frames that still wait are dropped, and counted as that.
        reason
            For the stop documents of runs that are still open.

        Raises
        ------
        RuntimeError
            When called from the reduction's own thread.
        """
        for message in self._arrivals.flush():
            self._turns.put(message)
        self._turns.close(timeout, reason)
        self._subscribers.wait(timeout)
        atexit.unregister(self._at_exit)

    def __repr__(self) -> str:
        config, n = self._setting.config, self._setting.config.diff_number
        rows = ", ".join(str(len(buffer)) for buffer in self.buffers)
        return (
            f"<{type(self).__name__}: {n} range{'s' if n > 1 else ''}, {config.diff_units}, "
            f"{config.calibration}; {rows} diffractograms in the buffers>"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _on_buffers(self, news: BufferNews) -> None:
        """Hear what becomes of the buffers, in order with the derived documents; for who shows them."""

    def _on_aside(self, name: str, doc: dict[str, Any]) -> None:
        """Take a document of a frame that goes into the buffers and into no derived run; for who shows them."""

    # -- faults -------------------------------------------------------------------------------------------

    def _tell_of_buffers(self, news: BufferNews) -> None:
        try:
            self._on_buffers(news)
        except Exception as error:  # the frames are reduced all the same
            self._on_error(error)

    def _tell_of_aside(self, name: str, doc: dict[str, Any]) -> None:
        try:
            self._on_aside(name, doc)
        except Exception as error:
            self._on_error(error)

    def _on_error(self, error: BaseException) -> None:
        kind = type(error).__name__
        if not self.errors[kind]:
            logger.error("the diffractogram failed; the scan goes on", exc_info=error)
        self.errors[kind] += 1
        self._error = error

    def _raise_if_strict(self) -> None:
        error, self._error = self._error, None
        if error is not None and self._strict:
            raise error

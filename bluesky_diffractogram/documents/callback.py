"""The callback: raw documents in, diffractograms out."""

from __future__ import annotations

import atexit
import functools
import itertools
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Self

from ..config import (
    DiffractogramConfig,
    configuration,
    load_config,
    read_settings,
    split_commands,
    update_config,
)
from ..reduction.buffer import DiffractogramBuffer
from ..reduction.diffractogram import Reduction
from ..reduction.reducer import Reducer
from .ahead import Ahead
from .assets import Assets
from .buffers import BufferNews
from .earlier import Earlier
from .fence import Fence
from .intake import Intake
from .late_turns import LateTurns
from .latest import LatestReduction
from .messages import (
    FramesPassedOver,
    ImagesReceived,
    Message,
    NextRequested,
    OriginOfFrame,
    ResetRequested,
    RunAbandoned,
    RunStarted,
    RunStopped,
    SettingChanged,
)
from .offering import OfferedFrame
from .pipeline import Pipeline
from .results import tool_results
from .setting import Setting
from .subscribers import Patience, Subscribers
from .tally import COUNTS
from .turns import Turns

logger = logging.getLogger(__name__)

Source = DiffractogramConfig | Mapping[str, Any] | str | os.PathLike[str]

DRAIN_AT_EXIT_S = 30.0


class ReductionCallback:
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
        self._setting = Setting.open(load_config(config))
        self._strict = strict
        self._intake = Intake(time.time if background else None)
        tokens = itertools.count()
        self._subscribers = Subscribers("a subscriber to the derived documents", tokens)
        self._results_subscribers = Subscribers("a subscriber to the results", tokens)
        self._viewers = Subscribers("a viewer of frames", tokens)
        self._followers = Subscribers("a follower of the reduction", tokens)
        self._setting_followers = Subscribers("a follower of the configuration", tokens)
        self._latest: LatestReduction | None = None
        self._latest_images: ImagesReceived | None = None
        self._latest_start: dict[str, Any] = {}
        self._starts: dict[str, dict[str, Any]] = {}  # of the runs that are open
        self._arriving = 0
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._configuring = threading.RLock()  # a follower of the configuration may change it again
        self.errors: Counter[str] = Counter()
        assets = Assets(handler_registry, root_map, roots, pixel_digests=pixel_digests)
        self._pipeline = Pipeline(
            self._setting, assets, self._subscribers.call, self._on_reduction, self._on_error, file_timeout,
            self._viewers, lambda: self._latest_images, ahead, earlier, self._tell_of_buffers, self._tell_of_aside,
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
            for message in self._received(name, doc):
                self._turns.put(message)
            self._turns.retry()
        except Exception as error:
            self._on_error(error)
        finally:
            with self._lock:
                self._arriving -= 1
        self._raise_if_strict()

    def _received(self, name: str, doc: dict[str, Any]) -> list[Message]:
        """The messages that a document amounts to; those before the part of a page that is damaged."""
        messages: list[Message] = []
        with self._lock:
            try:
                for message in self._intake.receive(name, doc, self._setting):
                    messages.append(self._decide(message))
            except Exception as error:
                self._on_error(error)
        return messages

    def _decide(self, message: Message) -> Message:
        if isinstance(message, RunStarted):
            self._starts[message.start["uid"]] = message.start
        elif isinstance(message, (RunStopped, RunAbandoned)):
            self._starts.pop(message.run_uid, None)
        if not isinstance(message, ImagesReceived):
            return message
        self._latest_images, self._latest_start = message, self._starts[message.run_uid]
        if self._setting.config.show_diff:
            return message
        return FramesPassedOver(message.run_uid, message.event["uid"], message.frames, "not_requested")

    # -- what comes out -----------------------------------------------------------------------------------

    def subscribe(self, func: Callable[[str, dict[str, Any]], Any], *, own_thread: bool = False) -> int:
        """Call `func(name, doc)` with every derived document from now on.

        Parameters
        ----------
        func
            Held strongly. An exception in it is logged and reaches nobody else.
        own_thread
            Call it in a thread of its own; for slow sinks such as TiledWriter.

        Returns
        -------
        int
            A token for `unsubscribe`.
        """
        return self._subscribers.add(func, own_thread=own_thread)

    def unsubscribe(self, token: int) -> None:
        """End a subscription of any kind; KeyError if there is none with this token."""
        for subscribers in (self._results_subscribers, self._viewers, self._followers, self._setting_followers):
            if token in subscribers:
                subscribers.remove(token)
                return
        self._subscribers.remove(token)

    def lost(self, token: int) -> int:
        """How many derived documents a subscriber raised at, or was not given as it was too slow.

        Raises
        ------
        KeyError
            None has this token.
        """
        return self._subscribers.lost(token)

    def on_results(self, func: Callable[[dict[str, Any]], Any]) -> int:
        """Call `func(results)` after each frame, with the dictionary that lavue gives its user functions.

        Returns
        -------
        int
            A token for `unsubscribe`.
        """
        return self._results_subscribers.add(func)

    def on_frame(self, func: Callable[[OfferedFrame], Any]) -> int:
        """Call `func(frame)` with frames that come, as they were read, to show them.

        With every frame that is reduced, once it is; with about ten a second of those that are not, while `show` is
        off; and with the last one again when the configuration changes. In the thread that reduces: `func` should
        keep the frame and return.

        Returns
        -------
        int
            A token for `unsubscribe`.
        """
        return self._viewers.add(func)

    def on_reduction(self, func: Callable[[LatestReduction], Any]) -> int:
        """Call `func(latest)` after each frame, with what was computed and where the frame came from.

        In the thread that reduces, after the derived event is out; unlike with `on_results` nothing is made for it.

        Returns
        -------
        int
            A token for `unsubscribe`.
        """
        return self._followers.add(func)

    def on_setting(self, func: Callable[[Setting], Any]) -> int:
        """Call `func(setting)` after each change of the configuration, whoever made it, in the thread that made it.

        Returns
        -------
        int
            A token for `unsubscribe`.
        """
        return self._setting_followers.add(func)

    @property
    def results(self) -> dict[str, Any] | None:
        """The latest frame's results as lavue's dictionary; None before the first."""
        latest = self._latest
        return None if latest is None else tool_results(latest.reduction, latest.reducer)

    @property
    def reduction(self) -> Reduction | None:
        """The latest frame's reduction; None before the first."""
        latest = self._latest
        return None if latest is None else latest.reduction

    @property
    def latest(self) -> LatestReduction | None:
        """The latest frame's reduction, with where the frame came from; None before the first."""
        return self._latest

    @property
    def latest_event(self) -> str | None:
        """The uid of the last event received that brings an image, be it reduced, waiting or passed over."""
        images = self._latest_images
        return None if images is None else images.event["uid"]

    @property
    def latest_run(self) -> str | None:
        """The uid of the run of `latest_event`."""
        images = self._latest_images
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
        return Counter(self._intake.ignored)

    @property
    def frames(self) -> dict[str, int]:
        """What became of the frames of all runs so far, in the words of the derived stop documents."""
        counts = self._pipeline.frames()
        return {name: counts[name] for name in (*COUNTS, "missing")}

    @property
    def open_runs(self) -> frozenset[str]:
        """The uids of the runs that have started and not stopped, those passed over too."""
        with self._lock:
            return self._intake.open_runs

    def fence(self) -> Fence:
        """Put up now, it tells when what has been received so far is dealt with."""
        return Fence(self._turns, self._subscribers)

    def abandon_silent(self, seconds: float) -> None:
        """Close the runs of which no document has come for so many seconds, as aborted: their stop was lost."""
        with self._lock:
            messages = [self._decide(message) for message in self._intake.abandon_silent(seconds)]
        for message in messages:
            self._turns.put(message)

    # -- commands -----------------------------------------------------------------------------------------

    def configuration(self) -> dict[str, Any]:
        """The configuration in force: lavue's keys and the others that differ from their default."""
        return configuration(self._setting.config)

    @property
    def config(self) -> DiffractogramConfig:
        """The configuration in force, validated."""
        return self._setting.config

    @property
    def setting(self) -> Setting:
        """The configuration in force with all that it names, read once."""
        return self._setting

    def check(self, changes: Source) -> None:
        """Raise what `configure` would raise, and change nothing.

        Raises
        ------
        ConfigError
            The changes cannot be made.
        """
        if isinstance(changes, DiffractogramConfig):
            self._check(Setting.open(changes, self._setting))
            return
        given, base = read_settings(changes)
        settings, _ = split_commands(given)
        self._check(Setting.open(update_config(self._setting.config, settings, base=base), self._setting))

    def configure(self, changes: Source | Callable[[DiffractogramConfig], Mapping[str, Any]]) -> None:
        """Change the configuration from the next frame on; also lavue's commands ``stop_diff``, ``next``, ``reset``.

        Parameters
        ----------
        changes
            What is to be another; or a function that gives it for the configuration in force, which nobody else
            changes meanwhile.

        Raises
        ------
        ConfigError
            Nothing is changed then.
        TypeError
            The function gave something else than a mapping.
        """
        with self._configuring:
            if callable(changes):
                changes = changes(self._setting.config)
                if not isinstance(changes, Mapping):
                    raise TypeError(
                        f"the function gave {type(changes).__name__}, not a mapping of what is to be another"
                    )
            if isinstance(changes, DiffractogramConfig):
                self._set(Setting.open(changes, self._setting))
                self._given(type(changes).model_fields)
                return
            given, base = read_settings(changes)
            settings, commands = split_commands(given)
            if settings:
                self._set(Setting.open(update_config(self._setting.config, settings, base=base), self._setting))
                self._given(settings)
        if commands.reset:
            self.reset()
        if commands.next:
            self.next()

    def _check(self, setting: Setting) -> None:
        """What else may be wrong with a setting.

        Raises
        ------
        ConfigError
            Where more is known than here.
        """

    def _given(self, keys: Collection[str]) -> None:
        """Hear which settings somebody has just set, be they changed or not."""

    def _set(self, setting: Setting) -> None:
        self._check(setting)
        self._turns.limit(setting.config)
        self._setting = setting
        self._turns.put(SettingChanged(setting))
        self._setting_followers.call(setting)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What derived documents say now of how their numbers are computed."""
        return self._setting.provenance

    def show(self, on: bool = True) -> None:
        """lavue's Show/Stop: reduce every frame, or none but at `next`."""
        with self._configuring:
            self._set(self._setting.switched(show_diff=bool(on)))

    def next(self) -> None:
        """Reduce the current frame once, also while `show` is off or after the run; nothing before the first frame."""
        with self._lock:
            images, start = self._latest_images, self._latest_start
        if images is not None:
            self._turns.put(NextRequested(images, self._setting, start))

    def collect(self, on: bool = True) -> None:
        """lavue's Collect/Stop: whether diffractograms go into the buffers."""
        with self._configuring:
            self._set(self._setting.switched(collect=bool(on)))

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
        with self._lock:
            messages = [self._decide(message) for message in self._intake.flush()]
        for message in messages:
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

    def _on_reduction(self, reduction: Reduction, reducer: Reducer, origin: OriginOfFrame, run_uid: str) -> None:
        self._latest = latest = LatestReduction(reduction, reducer, run_uid, origin)
        self._followers.call(latest)
        if len(self._results_subscribers):
            self._results_subscribers.call(tool_results(reduction, reducer))

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

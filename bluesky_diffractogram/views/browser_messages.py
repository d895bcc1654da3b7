"""What a browser sends to a Jupyter kernel while a cell runs: clicks and keys would wait until the cell ends."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

logger = logging.getLogger(__name__)

_TASKS: set[asyncio.Future[Any]] = set()
WIDGET_MESSAGES = ("comm_msg", "comm_open", "comm_close")


class BrowserMessages:
    """Takes the messages of widgets out of a kernel's queue, in the main thread, and leaves all others for later.

    Widgets share the queue with cells, which a kernel runs one after the other. While this is entered, `turn` handles
    the messages of widgets; cells that were started meanwhile run when it is left, in their order. Outside a kernel,
    and in one whose queue cannot be found, nothing happens.
    """

    def __init__(self) -> None:
        self._kernel = _running_kernel()
        self._stream = None if self._kernel is None else _main_stream(self._kernel)
        self._usual: Callable[[Any], Any] | None = None
        self._later: list[Any] = []

    @property
    def available(self) -> bool:
        """Whether there is a kernel whose messages can be taken."""
        return self._stream is not None

    def __enter__(self) -> Self:
        if self._stream is not None:
            self._usual = self._stream._recv_callback
            self._stream.on_recv(self._received, copy=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is None or self._usual is None:
            return
        self._stream.on_recv(self._usual, copy=False)
        for frames in self._later:
            answer = self._usual(frames)
            if inspect.isawaitable(answer):
                task = asyncio.ensure_future(answer)
                _TASKS.add(task)  # the loop holds tasks weakly
                task.add_done_callback(_TASKS.discard)
        self._later = []

    def turn(self) -> None:
        """Handle what has come."""
        if self._stream is not None:
            import zmq

            self._stream.flush(zmq.POLLIN)

    def _received(self, frames: Any) -> None:
        kernel = self._kernel
        try:
            _, parts = kernel.session.feed_identities(frames, copy=False)
            kind = kernel.session.deserialize(parts, content=False, copy=False)["header"]["msg_type"]
        except Exception:  # let the kernel say what it thinks of it
            kind = ""
        if kind not in WIDGET_MESSAGES or not hasattr(kernel, "comm_manager"):
            self._later.append(frames)
            return
        try:
            self._handle(frames, kind)
        except Exception:  # as the kernel does
            logger.exception("a message of a widget could not be handled")

    def _handle(self, frames: Any, kind: str) -> None:
        kernel = self._kernel
        idents, parts = kernel.session.feed_identities(frames, copy=False)
        message = kernel.session.deserialize(parts, content=True, copy=False)
        try:
            getattr(kernel.comm_manager, kind)(self._stream, idents, message)
        finally:
            # A widget waits for this before it sends its next state; the cell is still running.
            for state, parent in (("idle", message), ("busy", kernel.get_parent())):
                kernel.session.send(kernel.iopub_socket, "status", {"execution_state": state}, parent=parent)


def _running_kernel() -> Any:
    """The Jupyter kernel that this process is, or None."""
    shell = None
    with suppress(AttributeError):
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None)


def _main_stream(kernel: Any) -> Any:
    """Where messages for the main thread arrive: behind the shell channel's thread with ipykernel 7, itself before."""
    thread = getattr(kernel, "shell_channel_thread", None)
    try:
        stream = kernel.shell_stream if thread is None else thread.manager._shell_channel_to_main.to_stream
        stream._recv_callback  # noqa: B018
    except AttributeError:
        logger.info("the kernel's queue was not found: clicks in the browser wait until a plan has ended")
        return None
    return stream

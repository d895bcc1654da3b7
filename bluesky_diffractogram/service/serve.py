"""``serve``: reduces documents that come from other processes."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import ExitStack
from typing import Annotated, Any

import typer

from .console import BAD_INPUT, complain, plain_errors, require
from .one_line_log import log_to_standard_error
from .options import ConfigOption, ToolConfigurationOption, one_configuration

logger = logging.getLogger(__name__)

IN = "0mq://127.0.0.1:5578"

# No scan waits here, but messages, where they came from: longer than a first table takes that nothing is known of.
BLOCK_TIMEOUT_S = 30.0


def serve(
    source: Annotated[
        str, typer.Option("--in", metavar="ADDRESS", help="Where raw documents come from: 0mq://… or kafka://….")
    ] = IN,
    sinks: Annotated[
        list[str] | None,
        typer.Option(
            "--out", metavar="ADDRESS", help="Where derived documents go: 0mq://…, kafka://…, tiled+http://…; several."
        ),
    ] = None,
    config: ConfigOption = None,
    tool_configuration: ToolConfigurationOption = None,
    control: Annotated[
        str | None,
        typer.Option("--control", metavar="ADDRESS", help="Where `control` may ask and tell: 0mq://127.0.0.1:5579."),
    ] = None,
    window: Annotated[bool, typer.Option("--window", help="Show the window here.")] = False,
    prefix: Annotated[str, typer.Option(help="Only documents of publishers with this prefix (0MQ).")] = "",
    group: Annotated[
        str, typer.Option(help="The consumer group (Kafka): its members share the work.")
    ] = "diffractogram",
    roots: Annotated[
        list[str] | None, typer.Option("--root", metavar="DIR", help="Open files in this folder only; several.")
    ] = None,
    root_map: Annotated[
        list[str] | None,
        typer.Option("--root-map", metavar="THERE=HERE", help="Where a folder of the files lies on this machine."),
    ] = None,
    file_timeout: Annotated[
        float, typer.Option(min=0, help="Seconds after a run's end in which its files may still come.")
    ] = 30.0,
    run_timeout: Annotated[
        float,
        typer.Option(
            min=1, help="Seconds without a document after which a run is closed as aborted: its stop was lost."
        ),
    ] = 6 * 3600.0,
    drain: Annotated[
        float, typer.Option(min=0, help="Seconds that what was received may still take when the service ends.")
    ] = 30.0,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Read pickled documents too, which may run any code.")
    ] = False,
) -> None:
    """Reduce the runs whose documents come from another process, until it is told to end (Ctrl-C, SIGTERM).

    Nothing is pickled, and without a host an address is this machine's own. CURVE keys, API keys and the like come
    from the environment.
    """
    require("zmq", "zmq")
    from ..live import DiffractogramCallback
    from ..transport.address import parse_address
    from ..transport.control import ControlServer
    from ..transport.curve import curve_keys
    from .answers import answers
    from .endpoints import open_sink, open_source
    from .run_sources import parse_root_map
    from .serving import Serving

    given = one_configuration(config, tool_configuration)
    assert given is not None
    log_to_standard_error()
    with plain_errors():
        try:
            keys = curve_keys()
            where, outs = parse_address(source), [parse_address(sink) for sink in sinks or ()]
            asked = None if control is None else parse_address(control)
        except ValueError as error:
            complain("error", str(error))
            raise typer.Exit(BAD_INPUT) from None
        if allow_pickle:
            complain("warning", "pickled documents are read: whoever can send to this service can run code in it")
        for address in [where, *outs, *([asked] if asked else [])]:
            if not address.local and (keys is None or address.plain) and address.kind == "0mq":
                complain(
                    "warning", f"{address.endpoint} is reached by other machines, and nothing is encrypted (CURVE)"
                )
        callback = DiffractogramCallback(
            given, plot=window, roots=roots, root_map=parse_root_map(root_map or ()), file_timeout=file_timeout,
            block_timeout=BLOCK_TIMEOUT_S,
        )  # fmt: skip
        if window and not callback.figure.live:
            callback.close()
            complain("error", "--window: there is no display to show it on")
            raise typer.Exit(BAD_INPUT)
        with ExitStack() as if_refused:
            # Its thread loads readers, and would say of each of them that it cannot while the interpreter ends.
            if_refused.callback(callback.close)
            try:
                options: dict[str, Any] = {"keys": keys, "allow_pickle": allow_pickle}
                times = {"drain_s": drain, "run_timeout_s": run_timeout}
                incoming = open_source(where, prefix=prefix.encode(), group=group, **options)
                if_refused.callback(incoming.close)
                serving = Serving(callback, incoming, [open_sink(out, keys=keys) for out in outs], **times)
                server = None if asked is None else ControlServer(asked, answers(callback, serving.status, roots), keys)
            except ValueError as error:
                complain("error", str(error))
                raise typer.Exit(BAD_INPUT) from None
            if_refused.pop_all()
    over = _until_told()
    shown = ", ".join(out.endpoint for out in outs) or "nowhere"
    logger.info("serving: %s, from %s to %s", callback.config.calibration, where.endpoint, shown)
    try:
        if window:
            _beside_the_window(serving, over)
        else:
            serving.run(over)
    finally:
        if server is not None:
            server.close()


def _until_told() -> threading.Event:
    """Set by SIGTERM or Ctrl-C; a second one ends at once."""
    over = threading.Event()

    def end(number: int, _: Any) -> None:
        over.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return over


def _beside_the_window(serving: Any, over: threading.Event) -> None:
    """Serve in another thread: windows are for the main one."""
    from ..views import KeepWindowsAlive

    failed: list[BaseException] = []

    def run() -> None:
        try:
            serving.run(over)
        except BaseException as error:
            failed.append(error)
        finally:
            over.set()

    worker = threading.Thread(target=run, name="diffractogram-serving")
    worker.start()
    KeepWindowsAlive().block(over)
    worker.join()
    if failed:
        raise failed[0]

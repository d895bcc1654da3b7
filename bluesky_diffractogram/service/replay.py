"""``replay``: reduces stored runs."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from .console import (
    BAD_INPUT,
    INTERRUPTED,
    SOME_FAILED,
    Complaints,
    complain,
    errors,
    in_options,
    output,
    package_log,
    plain_errors,
)
from .options import ConfigOption, LogOption, OutputOption, ToolConfigurationOption, one_configuration


def replay(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUNS…",
            help="Files of documents (JSON lines, JSON, msgpack); or a catalogue (a tiled URI, or the name of a tiled "
            "or databroker profile) and the uids or scan ids of runs in it, all of them where none is given.",
        ),
    ],
    config: ConfigOption = None,
    tool_configuration: ToolConfigurationOption = None,
    directory: OutputOption = Path("diffractograms"),
    root_map: Annotated[
        list[str] | None,
        typer.Option("--root-map", metavar="THERE=HERE", help="Where a folder of the files lies on this machine."),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="DEST",
            help="What to write, several with commas: xy, chi, fxye, nexus, jsonl, png, in a folder for each run, "
            "which gets jsonl in any case; or tiled, the server that the runs are in; or the URI of another, or "
            "tiled:PROFILE. [default: xy,jsonl,png]",
        ),
    ] = None,
    log: LogOption = False,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, metavar="N", help="Reduce frames that lie in files in N processes."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Compute anew what earlier results in DIR hold already.")
    ] = False,
) -> None:
    """Reduce stored RUNS; write .xy files, the derived run as JSON lines, and a picture, in a folder for each run.

    The key of a tiled server is taken from the environment variable TILED_API_KEY. A run that cannot be replayed is
    reported and the others are reduced; the exit code is 1 then. What was interrupted is gone on with: frames that the
    results in DIR hold, computed in the same way, are taken over from there; a run that is all there is passed over.
    """
    from ..replay.errors import ReplayError
    from ..replay.replayed import open_replay
    from .progress import frames_progress
    from .run_sinks import RunSinks, find_destinations, split_destinations
    from .run_sources import find_runs, parse_root_map
    from .tally_line import tally_line

    source, wanted = one_configuration(config, tool_configuration), split_destinations(to)
    with plain_errors(), frames_progress(errors()) as progress:
        say = Complaints(progress.console)

        with package_log(say):
            try:
                found = find_runs(runs)
                destinations = find_destinations(wanted, found.catalog)
                sinks = RunSinks(destinations, directory, log=log)
                replayed = open_replay(
                    found.runs, source, workers=workers, resume=None if again else sinks.earlier,
                    progress=lambda done, total: progress.update(bar, completed=done, total=total),
                    options={"root_map": parse_root_map(root_map or ()), "file_timeout": 0.0},
                    destinations=() if again else sinks.whole,
                )  # fmt: skip
            except ReplayError as error:
                complain("error", in_options(str(error)), progress.console)
                raise typer.Exit(BAD_INPUT) from None
            for missing in found.missing:
                say("error", missing)
            bar = progress.add_task("reducing", total=None)
            try:
                with closing(iter(replayed)) as documents:
                    for name, doc in documents:
                        sinks(name, doc)
                progress.update(bar, visible=bool(sinks.written or not replayed.there_already))
            except ReplayError as error:
                if not replayed.failures:  # else it was logged, and said
                    say("error", in_options(str(error)))
            except KeyboardInterrupt:
                where = sinks.reached
                complain("interrupted", f"{where}; start the same command again to go on", progress.console)
                raise typer.Exit(INTERRUPTED) from None
            finally:
                sinks.close()

    console = output()
    lost = 0
    for run in sinks.written:
        places = ", ".join(run.places) or "stored nowhere"
        console.print(f"run {run.raw_uid}: {tally_line(run.frames)}: {places}", soft_wrap=True)
        lost += run.frames.get("received", 0) - run.frames.get("reduced", 0) - run.frames.get("replaced", 0)
    for uid, frames in replayed.there_already.items():
        places = ", ".join(sinks.places_of(uid))
        what = f"all {frames} frames are there already" if frames != 1 else "its frame is there already"
        console.print(f"run {uid}: {what}: {places} (--again computes them anew)", soft_wrap=True)
    if replayed.taken_over:
        console.print(f"{replayed.taken_over} frames were taken over of earlier results (--again computes them anew)")
    runs_done = len(sinks.written) + len(replayed.there_already)
    if not (runs_done or replayed.failures or say.errors):
        complain("error", "there is no run with frames to reduce; of derived runs, replay the raw ones")
        raise typer.Exit(SOME_FAILED)
    failed = len(replayed.failures) + len(found.missing)
    if failed:
        complain("error", f"{failed} of {failed + runs_done} runs failed")
    if say.errors or lost:
        raise typer.Exit(SOME_FAILED)

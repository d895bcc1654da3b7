"""``demo``: shows the main job on a simulated scan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import SOME_FAILED, Complaints, complain, errors, output, package_log, plain_errors
from .options import ConfigOption, LogOption, OutputOption, ToolConfigurationOption, one_configuration

INTERRUPTED = 130


def demo(
    frames: Annotated[int, typer.Option(min=1, help="How many frames are taken.")] = 60,
    directory: OutputOption = Path("diffractogram-demo"),
    window: Annotated[
        bool,
        typer.Option("--window/--no-window", help="Whether a window is opened where there is a display."),
    ] = True,
    log: LogOption = False,
    config: ConfigOption = None,
    tool_configuration: ToolConfigurationOption = None,
    detector: Annotated[str, typer.Option(hidden=True)] = "pilatus",
) -> None:
    """Scan a simulated powder sample that is being heated, and reduce its frames while they are taken.

    Iron powder with CeO2 is heated from 300 to 1500 K in front of a Pilatus 1M. A configuration given here
    replaces settings of the demonstration's, but not its calibration.
    """
    from ..config import read_settings
    from ..views.windows import wait_until_closed
    from .demonstration import Demonstration
    from .progress import frames_progress
    from .tally_line import tally_line

    source = one_configuration(config, tool_configuration, required=False)
    with plain_errors(), frames_progress(errors()) as progress:
        say = Complaints(progress.console)

        with package_log(say):
            settings, base = ({}, None) if source is None else read_settings(source)
            show = Demonstration(directory, settings, base=base, window=window, log=log, detector=detector)
            bar = progress.add_task("scanning and reducing", total=frames)
            finished = show.run(frames, lambda: progress.advance(bar))

    console = output()
    console.print(show.findings.table())
    console.print(f"frames: {tally_line(show.findings.frames)}", soft_wrap=True)
    for what, path in (
        ("heat-maps and curves", show.picture),
        ("derived run, as JSON lines", show.documents),
        ("configuration", show.configuration),
        ("calibration", show.beamline.calibration),
    ):
        console.print(f"{what}: {path}", soft_wrap=True)
    if show.window and finished:
        console.print("close the window to end")
        wait_until_closed(show.figure.figure.canvas)
    if not finished:
        complain("error", "interrupted; what was measured is reduced")
        raise typer.Exit(INTERRUPTED)
    counts = show.findings.frames
    if say.errors or counts.get("reduced", 0) != frames:
        raise typer.Exit(SOME_FAILED)

"""``integrate``: reduces frames that lie in files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from .console import SOME_FAILED, Complaints, complain, errors, output, package_log, plain_errors
from .options import ConfigOption, LogOption, OutputOption, ToolConfigurationOption, one_configuration


def integrate(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILES…", help="Frames in any format that fabio reads, or HDF5: file.h5::/data/set."),
    ],
    config: ConfigOption = None,
    tool_configuration: ToolConfigurationOption = None,
    directory: OutputOption = Path("diffractograms"),
    log: LogOption = False,
) -> None:
    """Reduce the frames in FILES; write .xy files, the derived run as JSON lines, and a picture.

    A file that cannot be read is reported and the others are reduced; the exit code is 1 then.
    """
    from ..config import load_config
    from ..replay.derived_source import for_every_frame
    from .integration import Integration
    from .progress import frames_progress
    from .tally_line import tally_line

    source = one_configuration(config, tool_configuration)
    assert source is not None
    bad_files: list[str] = []
    with plain_errors(), frames_progress(errors()) as progress:
        say = Complaints(progress.console)

        def failed(path: str, error: Exception) -> None:
            told = next(iter(str(error).splitlines()), "") or type(error).__name__
            named = os.path.basename(path.partition("::")[0]) in told
            complain("error", told if named else f"{path}: {told}", progress.console)
            bad_files.append(path)

        with package_log(say):
            integration = Integration(for_every_frame(load_config(source)), directory, log=log)
            bar = progress.add_task("reducing", total=len(files))
            for done, known in integration.reduce(files, failed):
                progress.update(bar, completed=done, total=known, visible=known > 0)

    console, written = output(), integration.files
    if written.frames.get("received"):
        console.print(f"frames: {tally_line(written.frames)}", soft_wrap=True)
    if written.frames.get("reduced"):
        console.print(f"{written.columns.written} .xy files in {directory}", soft_wrap=True)
        console.print(f"derived run: {written.documents}", soft_wrap=True)
        console.print(f"picture: {written.picture}", soft_wrap=True)
    if bad_files:
        nothing = "" if written.frames.get("received") else "there is no frame to reduce: "
        complain("error", f"{nothing}{len(bad_files)} of {len(files)} files could not be read")
    lost = written.frames.get("received", 0) - written.frames.get("reduced", 0)
    if bad_files or say.errors or lost:
        raise typer.Exit(SOME_FAILED)

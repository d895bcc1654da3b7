"""``integrate``: reduces frames that lie in files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import SOME_FAILED, complain, errors, output, package_log, plain_errors
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
    from .integration import Integration, batch_config
    from .progress import frames_progress
    from .tally_line import tally_line

    source = one_configuration(config, tool_configuration)
    assert source is not None
    bad_files, problems = [], []
    with plain_errors(), frames_progress(errors()) as progress:

        def say(kind: str, message: str) -> None:
            complain(kind, message, progress.console)
            if kind == "error":
                problems.append(message)

        def failed(path: str, error: Exception) -> None:
            complain("error", f"{path}: {error}".splitlines()[0], progress.console)
            bad_files.append(path)

        with package_log(say):
            integration = Integration(batch_config(source), directory, log=log)
            bar = progress.add_task("reducing", total=len(files))
            for done, known in integration.reduce(files, failed):
                progress.update(bar, completed=done, total=known)

    console = output()
    console.print(f"frames: {tally_line(integration.frames)}", soft_wrap=True)
    if integration.frames.get("reduced"):
        console.print(f"{integration.xy.written} .xy files in {directory}", soft_wrap=True)
        console.print(f"derived run: {integration.documents}", soft_wrap=True)
        console.print(f"picture: {integration.picture}", soft_wrap=True)
    if bad_files:
        complain("error", f"{len(bad_files)} of {len(files)} files could not be read")
    lost = integration.frames.get("received", 0) - integration.frames.get("reduced", 0)
    if bad_files or problems or lost:
        raise typer.Exit(SOME_FAILED)

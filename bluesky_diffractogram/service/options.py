"""What several commands are given, and where a command's configuration comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        "-c",
        metavar="CFG",
        help="The configuration: a .json, .yaml or .yml file.",
        show_default=False,
    ),
]

ToolConfigurationOption = Annotated[
    str | None,
    typer.Option(
        "--tool-configuration",
        metavar="JSON",
        help="The configuration as lavue's command line takes it: '{\"calibration\": …}'.",
        show_default=False,
    ),
]

OutputOption = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Where files are written; made if it is not there.",
        file_okay=False,
    ),
]


LogOption = Annotated[
    bool,
    typer.Option("--log", help="Logarithmic heat-maps and curves, to see weak lines beside strong ones."),
]


def one_configuration(*given: str | None, required: bool = True) -> str | None:
    """The one configuration of those that the command line may give.

    Raises
    ------
    typer.BadParameter
        There is more than one, or none although it is required.
    """
    found = [each for each in given if each is not None]
    if len(found) > 1:
        raise typer.BadParameter("give one configuration, not several")
    if not found and required:
        raise typer.BadParameter("give a configuration: --config FILE or --tool-configuration '{…}'")
    return found[0] if found else None

"""``check``: says what a configuration means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import BAD_INPUT, complain, output, plain_errors
from .options import ConfigOption, OutputOption, ToolConfigurationOption, one_configuration


def check(
    cfg: Annotated[
        str | None,
        typer.Argument(metavar="CFG", help="The configuration: a file, or a JSON string.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    tool_configuration: ToolConfigurationOption = None,
    frame: Annotated[
        str | None,
        typer.Option(
            "--frame",
            "-f",
            metavar="FILE",
            help="A frame to draw the ranges on; it also tells the detector's shape.",
            show_default=False,
        ),
    ] = None,
    directory: OutputOption = Path(),
) -> None:
    """Say what a configuration means: geometry, ranges, pixels in each; and draw the ranges (ranges.png)."""
    from .check_picture import draw, drawn_earlier
    from .check_report import print_report
    from .examine import examine

    source = one_configuration(cfg, config, tool_configuration)
    assert source is not None
    with plain_errors():
        examined = examine(source, frame)
    console = output()
    print_report(examined, console)
    if examined.reducer is None:
        return
    with plain_errors():
        directory.mkdir(parents=True, exist_ok=True)
        picture = directory / "ranges.png"
        before = picture.exists()
        if before and not drawn_earlier(picture):
            complain("error", f"{picture} is there and is none of this command's: say with --output where to draw")
            raise typer.Exit(BAD_INPUT)
        draw(examined, examined.reducer, picture)
    console.print(f"ranges drawn in {picture}{', in the place of an earlier one' if before else ''}", soft_wrap=True)

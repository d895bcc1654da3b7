"""What a person sees: output, errors as one line, warnings once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from ..config import ConfigError

BAD_INPUT = 2
"""Exit code where what was given cannot be used, as for unknown options."""

SOME_FAILED = 1
"""Exit code where a part of the work could not be done."""


INTERRUPTED = 130
"""Exit code after an interrupt from the keyboard, as of shells."""

_OPTIONS = {
    "root_map={there: here}": "--root-map THERE=HERE",
    "say with raw= where that is found": "replay that one",
    "workers= needs": "--workers needs",
}
"""What the library tells its callers to do, as the command line has it."""


def in_options(message: str) -> str:
    """A message of the library's with the options of the command line in the place of its arguments."""
    for argument, option in _OPTIONS.items():
        message = message.replace(argument, option)
    return message


# rich would take the brackets of "r [mm]" and of file names for its own markup.
_PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}


def output() -> Console:
    """Standard output as it is now; wide enough for tables where it is no terminal."""
    console = Console(**_PLAIN)
    return console if console.is_terminal else Console(width=110, **_PLAIN)


def errors() -> Console:
    """Standard error as it is now."""
    return Console(stderr=True, **_PLAIN)


def complain(kind: str, message: str, console: Console | None = None) -> None:
    """One line on standard error, or on the `console` of a progress bar: ``error: …``."""
    colour = {"error": "bold red", "warning": "yellow"}.get(kind, "bold")
    (console or errors()).print(Text.assemble((f"{kind}: ", colour), message), soft_wrap=True)


class Complaints:
    """Says what is wrong on the `console` of a progress bar; takes a kind and a message, as `package_log` gives them.

    Attributes
    ----------
    errors
        The messages among them that are errors.
    """

    def __init__(self, console: Console) -> None:
        self.errors: list[str] = []
        self._console = console

    def __call__(self, kind: str, message: str) -> None:
        complain(kind, message, self._console)
        if kind == "error":
            self.errors.append(message)


def require(library: str, extra: str) -> None:
    """End with a line that says what to install, unless a library is there that an extra brings.

    Raises
    ------
    typer.Exit
        It is not.
    """
    if find_spec(library) is None:
        complain("error", f"{library} is not installed: pip install 'bluesky-diffractogram[{extra}]'")
        raise typer.Exit(BAD_INPUT)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns what is wrong with the input, or with where the output goes, into one line and exit code 2.

    Raises
    ------
    typer.Exit
        Instead of a ConfigError or an OSError.
    """
    try:
        yield
    except (ConfigError, OSError) as error:
        complain("error", str(error))
        raise typer.Exit(BAD_INPUT) from None


@contextmanager
def package_log(say: Callable[[str, str], None]) -> Iterator[None]:
    """Hands the warnings and errors that the package logs meanwhile to `say`, each once, and to nobody else.

    Parameters
    ----------
    say
        Called with the kind, ``"warning"`` or ``"error"``, and the message; on the thread that logged.
    """
    package = logging.getLogger(__name__.split(".")[0])
    handler = _Told(say)
    propagate = package.propagate
    package.addHandler(handler)
    package.propagate = False
    logging.getLogger("fabio").setLevel(logging.ERROR)  # it remarks on header entries that nobody needs
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.propagate = propagate


class _Told(logging.Handler):
    def __init__(self, say: Callable[[str, str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say
        self._known: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = in_options(record.getMessage())
        if record.exc_info and record.exc_info[1] is not None:
            message += f" ({type(record.exc_info[1]).__name__}: {record.exc_info[1]})"
        if message not in self._known:
            self._known.add(message)
            self._say("error" if record.levelno >= logging.ERROR else "warning", message)

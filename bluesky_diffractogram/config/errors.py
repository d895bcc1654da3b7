"""The one error that configuration raises."""

from __future__ import annotations

import itertools
import reprlib
from typing import Any

MOST_SHOWN = 200
"""Of a value, how many characters an error shows."""


class ConfigError(ValueError):
    """A configuration that cannot be used.

    Parameters
    ----------
    key
        The configuration key, with the position inside it where that helps: ``diff_ranges[1]``.
    value
        What was given.
    allowed
        What would have been accepted, in words: ``"an integer of at least 1"``.
    reason
        What is wrong, when `allowed` alone does not say it.
    """

    def __init__(self, key: str, value: Any, allowed: str, reason: str = "") -> None:
        self.key = key
        self.value = value
        self.allowed = allowed
        self.reason = reason
        shown = _shown(value)
        because = f"{reason}; " if reason else ""
        super().__init__(f"{key} = {shown}: {because}allowed: {allowed}")

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are rebuilt from `args` alone, which do not fit __init__; worker processes send them home.
        return _restore, (self.key, self.value, self.allowed, self.reason, self.args)


class _Repr(reprlib.Repr):
    """`repr` that ends: a few lines of YAML may stand for a list of a billion entries, or be one that holds itself."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = self.maxarray = 12
        self.maxstring = self.maxother = self.maxlong = 2 * MOST_SHOWN

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        """In the order in which it was written."""
        if level <= 0:
            return "{...}" if x else "{}"
        pairs = [
            f"{self.repr1(key, level - 1)}: {self.repr1(value, level - 1)}"
            for key, value in itertools.islice(x.items(), self.maxdict)
        ]
        return "{" + ", ".join([*pairs, *(["..."] if len(x) > self.maxdict else [])]) + "}"


def _shown(value: Any) -> str:
    try:
        text = " ".join(_Repr().repr(value).split())
    except Exception:  # an integer of too many digits, or whatever somebody's objects raise
        text = f"<{type(value).__name__}>"
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3] + "..."


def _restore(key: str, value: Any, allowed: str, reason: str, args: tuple[Any, ...]) -> ConfigError:
    error = ConfigError(key, value, allowed, reason)
    error.args = args
    return error

"""The one error that configuration raises."""

from __future__ import annotations

from typing import Any


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
        shown = " ".join(repr(value).split())
        if len(shown) > 200:
            shown = shown[:197] + "..."
        because = f"{reason}; " if reason else ""
        super().__init__(f"{key} = {shown}: {because}allowed: {allowed}")

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are rebuilt from `args` alone, which do not fit __init__; worker processes send them home.
        return _restore, (self.key, self.value, self.allowed, self.reason, self.args)


def _restore(key: str, value: Any, allowed: str, reason: str, args: tuple[Any, ...]) -> ConfigError:
    error = ConfigError(key, value, allowed, reason)
    error.args = args
    return error

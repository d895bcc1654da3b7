"""The configuration as ophyd signals: one for each key of the model, flat values in and out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from ophyd import Component, Kind
from ophyd.status import Status

from ..config import DiffractogramConfig, plain, plain_merge
from .mirror import MirrorSignal

KEYS: tuple[str, ...] = tuple(DiffractogramConfig.model_fields)

_RENAMED = {"collect": "collecting"}
_KEY_OF = {renamed: key for key, renamed in _RENAMED.items()}


def attribute_of(key: str) -> str:
    """The name of a configuration key's signal: the key, but ``collecting`` for ``collect``, which is bluesky's."""
    return _RENAMED.get(key, key)


def key_of(attribute: str) -> str:
    """The configuration key of a signal."""
    return _KEY_OF.get(attribute, attribute)


def flat(key: str, value: Any, arrays: Mapping[str, Mapping[str, str]]) -> bool | int | float | str:
    """A setting as a descriptor can hold it.

    Parameters
    ----------
    key, value
        Of a `DiffractogramConfig`.
    arrays
        Where arrays are kept and their SHA-256, by key (the ``arrays`` of a callback's provenance).

    Returns
    -------
    bool, int, float or str
        Numbers and text as they are; an empty text for None; JSON for all that has parts; for an array the path where
        it is kept, else ``sha256:`` and its digest.
    """
    if isinstance(value, (bool, int, float, str)):
        return value
    if value is None:
        return ""
    if isinstance(value, np.ndarray):
        kept = arrays.get(key, {})
        return kept.get("path") or f"sha256:{kept.get('sha256', '')}"
    if key == "merge":
        return json.dumps(plain_merge(value, lambda name, array: flat(name, array, arrays)))
    return json.dumps(plain(value))


def unflattened(key: str, value: Any) -> Any:
    """What the configuration takes for a value that may be one of `flat`'s; anything else is given back as it is."""
    if not isinstance(value, str):
        return value.item() if isinstance(value, np.generic) else value
    text = value.strip()
    field = DiffractogramConfig.model_fields.get(key)
    if text == "" and field is not None and not field.is_required() and not isinstance(field.default, str):
        return None
    if text == "null" or text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError:  # a path may begin so
            pass
    return value


class SettingSignal(MirrorSignal):
    """One key of the configuration of the parent's callback.

    Its value is what is in force. Setting it changes the configuration from the next frame on, or raises and changes
    nothing. Subscribers hear of all changes, whoever makes them.
    """

    @property
    def key(self) -> str:
        """The configuration key."""
        return key_of(self.attr_name)

    def value_now(self) -> Any:
        """The value in force, as `flat` gives it."""
        return self.parent.setting(self.key)

    @property
    def timestamp(self) -> float:
        """When the device first saw the configuration that is in force, in seconds since the epoch."""
        return self.parent.configured_at

    def check_value(self, value: Any, **kwargs: Any) -> None:
        """Raise ConfigError where `set` would; what bluesky's ``check_limits`` asks."""
        self.parent.check_configuration({self.key: value})

    def put(self, value: Any, **kwargs: Any) -> None:
        """Change the configuration.

        Raises
        ------
        ConfigError
            A ValueError that names the key, the value and what is allowed.
        """
        self.parent.apply({self.key: value})

    def set(self, value: Any, **kwargs: Any) -> Status:
        """Change the configuration, at once: `put` with a finished status, which is made only if it succeeds."""
        self.put(value)
        status = Status(self)
        status.set_finished()
        return status

    def describe(self) -> dict[str, Any]:
        """The data key, whose dtype follows from the value in force."""
        return {self.name: {"source": f"SIM:{self.name}", "shape": [], **_dtype(self.get())}}


class ConfigurationSignal(MirrorSignal):
    """The parent's whole configuration as JSON; setting it to changes makes them, or raises."""

    def value_now(self) -> str:
        """The JSON text."""
        return self.parent.in_force.provenance["configuration"]

    @property
    def timestamp(self) -> float:
        """Since when it is in force, in seconds since the epoch; at most since the device was made."""
        return self.parent.configured_at

    def check_value(self, value: Any, **kwargs: Any) -> None:
        """Raise ConfigError where `set` would."""
        self.parent.opened(value)

    def put(self, value: Any, **kwargs: Any) -> None:
        """Change the keys that `value`, a dictionary or JSON, names; ConfigError changes nothing."""
        self.parent.apply(value)

    def set(self, value: Any, **kwargs: Any) -> Status:
        """As `put`, with a finished status, which is made only if it succeeds."""
        self.put(value)
        status = Status(self)
        status.set_finished()
        return status


def _dtype(value: Any) -> dict[str, str]:
    if isinstance(value, bool):
        return {"dtype": "boolean", "dtype_numpy": "|b1"}
    if isinstance(value, int):
        return {"dtype": "integer", "dtype_numpy": "<i8"}
    if isinstance(value, float):
        return {"dtype": "number", "dtype_numpy": "<f8"}
    return {"dtype": "string"}


def setting_components() -> dict[str, Component]:
    """A component for every key of the configuration, by attribute."""
    components = {}
    for key, field in DiffractogramConfig.model_fields.items():
        components[attribute_of(key)] = Component(SettingSignal, value="", kind=Kind.config, doc=field.description)
    return components

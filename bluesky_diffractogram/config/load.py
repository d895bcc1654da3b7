"""Configurations from what users give: a dictionary, a JSON string, or a file; and back."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from pydantic import BaseModel, ValidationError

from .cake import CakeConfig
from .changes import same
from .dark import DarkConfig
from .errors import ConfigError
from .files import ALLOWED_CALIBRATION
from .merge import MergedDetector, plain_merge
from .model import DiffractogramConfig
from .moving import GeometryConfig, Reading
from .peaks import PeaksConfig
from .source import read_settings
from .statistic import StatisticConfig
from .tracked import TrackedPeak, TrackedPhase

Source: TypeAlias = "Mapping[str, Any] | DiffractogramConfig | str | os.PathLike[str]"

COMMANDS = ("stop_diff", "next", "reset")
LAVUE_KEYS = (
    "calibration",
    "diff_number",
    "diff_ranges",
    "diff_units",
    "buffer_size",
    "buffering",
    "collect",
    "show_diff",
    "main_plot",
)


@dataclass(frozen=True, slots=True)
class Commands:
    """What a dictionary of lavue's may command beside what it sets."""

    stop_diff: bool = False
    next: bool = False
    reset: bool = False


def split_commands(given: Mapping[str, Any]) -> tuple[dict[str, Any], Commands]:
    """The settings in `given`, and its commands.

    ``stop_diff: true`` ends the continuous mode, so the settings then say ``show_diff: false``.

    Raises
    ------
    ConfigError
        A command is neither true nor false.
    """
    settings = dict(given)
    commands = {}
    for key in COMMANDS:
        value = settings.pop(key, False)
        if not isinstance(value, (bool, np.bool_, int)) or value not in (0, 1):
            raise ConfigError(key, value, "true or false")
        commands[key] = bool(value)
    if commands["stop_diff"]:
        settings["show_diff"] = False
    return settings, Commands(**commands)


def load_config(
    source: Source, *, base: str | os.PathLike[str] | None = None, defaults: Mapping[str, Any] | None = None
) -> DiffractogramConfig:
    """The configuration that `source` describes.

    Parameters
    ----------
    source
        A dictionary, a JSON string (it begins with ``{``), the path of a ``.json``, ``.yaml`` or ``.yml``
        file, or a configuration, which is given back. lavue's commands may be among the keys:
        ``stop_diff`` counts as ``show_diff: false``, ``next`` and ``reset`` do nothing here (see
        `split_commands`).
    base
        The folder that relative paths are relative to; if None, a file's own folder or the
        working directory.
    defaults
        Values for keys that `source` leaves out.

    Raises
    ------
    ConfigError
        For all that is wrong with it. It names the first key that is; its message has the others too.
    """
    if isinstance(source, DiffractogramConfig):
        if not defaults:
            return source
        settings: dict[str, Any] = explicit(source)
    else:
        settings, base = read_settings(source, base)
    settings, _ = split_commands({**(defaults or {}), **settings})
    return _validate(settings, base)


def update_config(
    config: DiffractogramConfig, changes: Source, *, base: str | os.PathLike[str] | None = None
) -> DiffractogramConfig:
    """`config` with `changes`, checked as a whole; `config` itself stays as it is, whatever happens.

    What was never set keeps following its default: new ``diff_ranges`` without ``diff_number`` make as many
    ranges active as there are. Likewise ``energy`` replaces a ``wavelength`` that was set, and the other way
    round. ``peaks``, ``statistic``, ``cake``, ``dark``, ``geometry`` and ``merge`` are replaced as a whole.

    Raises
    ------
    ConfigError
        As `load_config`.
    """
    if isinstance(changes, DiffractogramConfig):
        return changes
    changes, base = read_settings(changes, base)
    changes, _ = split_commands(changes)
    settings = explicit(config)
    if "diff_ranges" in changes:
        settings.pop("diff_number", None)
    for one, other in (("wavelength", "energy"), ("energy", "wavelength")):
        if changes.get(one) is not None:
            settings.pop(other, None)
    return _validate({**settings, **changes}, base)


def explicit(config: DiffractogramConfig) -> dict[str, Any]:
    """The settings of `config` that were given, not left to their defaults."""
    return {key: getattr(config, key) for key in type(config).model_fields if key in config.model_fields_set}


def configuration(config: DiffractogramConfig) -> dict[str, Any]:
    """A dictionary that `load_config` turns into an equal configuration.

    It holds lavue's nine keys and those of ours that differ from their default. All of it is JSON but for
    arrays, which are given back as read-only arrays, nested lists too; `configuration_json` gives paths for
    them. Paths are absolute.
    """
    return _as_dictionary(config, lambda key, array: array)


def configuration_json(config: DiffractogramConfig, arrays: Callable[[str, np.ndarray], str]) -> dict[str, Any]:
    """As `configuration`, all of it JSON: each array is replaced by the path that `arrays` gives for it."""
    return _as_dictionary(config, arrays)


def _as_dictionary(config: DiffractogramConfig, arrays: Callable[[str, np.ndarray], Any]) -> dict[str, Any]:
    shown = {}
    for key, field in type(config).model_fields.items():
        value = getattr(config, key)
        if key != "merge" and (key in LAVUE_KEYS or not same(value, field.default)):
            shown[key] = arrays(key, value) if isinstance(value, np.ndarray) else plain(value)
    if config.merge:
        shown["merge"] = plain_merge(config.merge, arrays)
    return {key: shown[key] for key in (*LAVUE_KEYS, *(key for key in shown if key not in LAVUE_KEYS))}


def plain(value: Any) -> Any:
    """A setting as JSON has it; arrays stay."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    return value


def _validate(settings: dict[str, Any], base: str | os.PathLike[str] | None) -> DiffractogramConfig:
    # Null is "as many as there are ranges", which is what leaving it out means.
    if settings.get("diff_number", 1) is None:
        del settings["diff_number"]
    try:
        return DiffractogramConfig.model_validate(settings, context={"base": Path(base) if base else None})
    except ValidationError as error:
        raise _config_error(error) from None


def _config_error(error: ValidationError) -> ConfigError:
    """All that pydantic found, as one error: unknown keys first, a missing key may be one of them."""
    found = sorted(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    errors = [_one_error(dict(one)) for one in found]
    first = errors[0]
    if len(errors) > 1:
        first.args = ("; and ".join(str(one) for one in errors),)
    return first


def _one_error(details: dict[str, Any]) -> ConfigError:
    place = [str(part) for part in details["loc"]]
    inside = "".join(f"{part}." for part in place[:-1])
    raised = details.get("ctx", {}).get("error")
    if isinstance(raised, ConfigError):
        if place and not raised.key.startswith(place[-1]):  # it is of something in what that names
            inside += f"{place[-1]}."
        return ConfigError(inside + raised.key, raised.value, raised.allowed, raised.reason)
    key = place[-1] if place else "configuration"
    if details["type"] == "extra_forbidden":
        return _unknown_key(key, inside, details["input"])
    if details["type"] == "missing":
        allowed = ALLOWED_CALIBRATION if key == "calibration" else _meaning(_model_of(inside), key)
        return ConfigError(inside + key, None, allowed, "it is missing")
    return ConfigError(inside + key, details["input"], details["msg"])


_PARTS: dict[str, type[BaseModel]] = {
    "cake": CakeConfig,
    "dark": DarkConfig,
    "geometry": GeometryConfig,
    "merge": MergedDetector,
    "peaks": PeaksConfig,
    "statistic": StatisticConfig,
}


def _model_of(inside: str) -> type[BaseModel]:
    """What has the keys of a place, ``peaks.track.0.``."""
    model = DiffractogramConfig if not inside else _PARTS[inside.partition(".")[0]]
    if inside.startswith("merge."):  # what is of a further detector is as it would be of the first
        own = inside.split(".", 2)[2]
        model = _PARTS[own.partition(".")[0]] if own else model
        if own.startswith("geometry.") and own != "geometry.":
            model = Reading
    if ".track." in inside or ".phases." in inside:
        model = TrackedPeak if ".track." in inside else TrackedPhase
    if inside.startswith("geometry.") and inside != "geometry.":
        model = Reading
    return model


def _meaning(model: type[BaseModel], key: str) -> str:
    """What a key that is needed says, in words."""
    description = model.model_fields[key].description or "a value"
    return description[0].lower() + description[1:].rstrip(".")


def _unknown_key(key: str, inside: str, value: Any) -> ConfigError:
    known = [*_model_of(inside).model_fields, *(() if inside else COMMANDS)]
    nearest = difflib.get_close_matches(key.strip().lower().replace("-", "_"), known, n=1, cutoff=0.5)
    if nearest:
        return ConfigError(inside + key, value, f"{inside}{nearest[0]}, the nearest known key", "unknown key")
    return ConfigError(inside + key, value, ", ".join(known), "unknown key")

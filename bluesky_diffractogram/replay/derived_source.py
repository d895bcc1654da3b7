"""From a derived run back to what it was computed from."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import ConfigError, DiffractogramConfig, load_config, update_config
from ..documents.derived_run import PURPOSE
from ..documents.provenance import calibration_file, versions
from ..documents.setting import Setting
from .errors import ReplayError

logger = logging.getLogger(__name__)

Document = Mapping[str, Any]


def is_derived(start: Document) -> bool:
    """Whether a start document is that of a derived run."""
    return start.get("purpose") == PURPOSE


def for_every_frame(config: DiffractogramConfig) -> DiffractogramConfig:
    """The same configuration, but reducing every frame, whatever it says of the continuous mode."""
    return update_config(config, {"show_diff": True, "collect": True})


def recorded_configuration(uid: str, described: Mapping[str, Any], folder: Path) -> DiffractogramConfig:
    """The configuration that a derived run, or one of its streams, was computed with.

    Parameters
    ----------
    uid
        Of the derived run.
    described
        What it says of how it was computed (`provenance_of`, or its start document).
    folder
        Where the calibration is written from its text, if its file is not there any more or says something else now.

    Raises
    ------
    ReplayError
        An array was not kept, is another one now, or something else that it names is not there.
    """
    settings = json.loads(described["configuration"])
    recorded = described.get("arrays") or {}
    lost = [key for key, each in recorded.items() if not each["path"]]
    if lost:
        raise ReplayError(
            f"derived run {uid}: its {' and '.join(lost)} was given as an array and not kept (assets_dir was not set): "
            "give the configuration"
        )
    settings["calibration"] = _calibration(uid, described["calibration"], folder)
    for entry, calibration in zip(settings.get("merge") or (), described.get("merge") or (), strict=True):
        entry["calibration"] = _calibration(uid, calibration, folder)
    try:
        config = load_config(settings)
        arrays = Setting.open(config).provenance["arrays"]
    except ConfigError as error:
        raise ReplayError(f"the configuration of derived run {uid} cannot be used here: {error}") from error
    for key, each in recorded.items():
        if arrays[key]["sha256"] != each["sha256"]:
            raise ReplayError(
                f"derived run {uid}: {each['path']} is not the {key} that it was computed with (another SHA-256): "
                "give the configuration"
            )
    return config


def _calibration(uid: str, recorded: Mapping[str, str], folder: Path) -> str:
    path = calibration_file(recorded, folder)
    if path != recorded["path"]:
        logger.info(
            "derived run %s: its calibration %s is another now, the recorded one is used", uid, recorded["path"]
        )
    return path


def warn_of_other_versions(start: Document) -> None:
    """Say in the log if a derived run was computed with other versions than those here."""
    now, then = versions(), start["versions"].items()
    other = [f"{name} {version} then, {now.get(name)} now" for name, version in then if now.get(name) != version]
    if other:
        logger.warning("derived run %s was computed with other versions: %s", start["uid"], "; ".join(other))

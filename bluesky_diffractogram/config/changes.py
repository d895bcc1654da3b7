"""What differs between two configurations, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .model import DiffractogramConfig

NUMBERS = frozenset(
    {
        "calibration",
        "diff_number",
        "diff_ranges",
        "diff_units",
        "range_unit",
        "npt",
        "mask",
        "dark",
        "flat",
        "background",
        "background_scale",
        "background_curve",
        "background_unit",
        "absorption",
        "transformation",
        "mask_transformed",
        "mask_invalid",
        "dummy",
        "delta_dummy",
        "valid_range",
        "correct_solid_angle",
        "polarization_factor",
        "error_model",
        "method",
        "statistic",
        "wavelength",
        "energy",
        "geometry",
        "normalization",
        "detector_shape",
        "binning",
        "image_key",
        "merge",
        "stream",
        "frames_per_event",
    }
)
"""The keys whose change alters the numbers of a diffractogram."""

_MEANING = NUMBERS | {"peaks", "cake", "count", "carry", "hinted"}

INPUT_FILES = frozenset({"calibration", "mask", "dark", "flat", "background", "background_curve", "absorption"})
"""The keys that name files to be read, of the first detector and of those of ``merge``."""


def same(one: Any, other: Any) -> bool:
    """Whether two values of a setting are equal, arrays by shape, type and numbers."""
    if one is other:
        return True
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        alike = one.dtype == other.dtype and one.shape == other.shape
        return alike and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return False
    return bool(one == other)


def changed_keys(old: DiffractogramConfig, new: DiffractogramConfig) -> frozenset[str]:
    """The keys whose values differ."""
    return frozenset(key for key in type(new).model_fields if not same(getattr(old, key), getattr(new, key)))


def same_meaning(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether data computed under two configurations, each as `configuration_json` gives it, may stand side by side.

    The files that they name are not looked at.
    """
    keys = _MEANING - INPUT_FILES - {"merge"}
    darks = [dark if isinstance(dark := each.get("dark"), Mapping) else None for each in (one, other)]
    merged = [_without_files(each.get("merge") or ()) for each in (one, other)]
    same_inputs = darks[0] == darks[1] and merged[0] == merged[1]
    return same_inputs and all(one.get(key) == other.get(key) for key in keys)


def _without_files(merge: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The further detectors, without what names files."""
    return [{key: value for key, value in entry.items() if key not in INPUT_FILES} for entry in merge]


def empties_buffers(old: DiffractogramConfig, new: DiffractogramConfig) -> bool:
    """Whether the rows kept under `old` cannot stand beside those of `new`."""
    return bool(changed_keys(old, new) & (NUMBERS | {"buffer_size"}))


def alters_stream(old: DiffractogramConfig, new: DiffractogramConfig) -> bool:
    """Whether derived data have another shape or meaning under `new`, and need a stream of their own."""
    return bool(changed_keys(old, new) & _MEANING)

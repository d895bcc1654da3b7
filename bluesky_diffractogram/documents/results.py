"""The dictionary that lavue hands to its user functions, of our reductions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..reduction.diffractogram import Reduction
from ..reduction.reducer import Reducer


def tool_results(reduction: Reduction, reducer: Reducer) -> dict[str, Any]:
    """lavue's ``ToolResults`` for one frame.

    Returns
    -------
    dict
        ``tool``, ``imagename``, ``timestamp``, ``nrdiffs``, ``calibration``, ``unit``, and for every range *i*
        ``diff_i`` (``[[x, …], [y, …]]``, empty bins left out), ``radial_range_i`` and ``azimuth_range_i`` (in the
        current unit and in degrees, null where none was set), ``peaks_i`` (``[[positions], [heights]]``) and
        ``peaks_i_error``. It can be written as JSON.
    """
    results: dict[str, Any] = {
        "tool": "diffractogram",
        "imagename": reduction.frame.imagename,
        "timestamp": reduction.frame.timestamp,
        "nrdiffs": len(reduction.diffractograms),
        "calibration": reducer.config.calibration,
        "unit": reducer.config.unit.name,
    }
    each = zip(reducer.ranges, reducer.config.ranges, reduction.diffractograms, reduction.peaks, strict=True)
    for effective, wanted, diffractogram, peaks in each:
        i = wanted.number
        filled = np.isfinite(diffractogram.intensity)
        radial_given = wanted.radial_min is not None or wanted.radial_max is not None
        results[f"diff_{i}"] = [_plain(diffractogram.radial[filled]), _plain(diffractogram.intensity[filled])]
        results[f"radial_range_{i}"] = list(effective.radial_range) if radial_given else None
        results[f"azimuth_range_{i}"] = list(effective.azimuth_range) if wanted.azimuth_given else None
        if reducer.config.peaks is not None:
            error = float(np.max(peaks.position_error)) if len(peaks) else math.nan
            results[f"peaks_{i}"] = [_plain(peaks.position), _plain(peaks.height)]
            results[f"peaks_{i}_error"] = error if math.isfinite(error) else None
    return results


def _plain(values: NDArray) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]

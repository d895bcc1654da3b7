"""What derived events tell of the geometries of further detectors."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..config import DiffractogramConfig, as_if_alone
from ..config.moving import OF_WAVELENGTH, RECORDED
from ..reduction.frame import Frame
from ..reduction.merged import MergedIntegrator
from ..reduction.moved import Moved
from ..reduction.reducer import Reducer
from .moving import recorded_parameters


def recorded_of_others(config: DiffractogramConfig) -> dict[str, tuple[int, str]]:
    """The data keys: which of the further detectors, counted from 0, and which parameter of its geometry.

    That of the wavelength is the first one's, as events have one beam.
    """
    return {
        f"{RECORDED}{each.image_key}_{name}": (i, name)
        for i, each in enumerate(config.merge)
        for name in recorded_parameters(as_if_alone(config, i))
        if RECORDED + name not in OF_WAVELENGTH
    }


def told_of_others(names: Mapping[str, tuple[int, str]], reducer: Reducer, frame: Frame) -> dict[str, float]:
    """The values under these; NaN for a detector that the frame lacks.

    Parameters
    ----------
    names
        See `recorded_of_others`.
    reducer
        That of the calibrations' own geometries.
    frame
        Any of its frames.
    """
    if not names:
        return {}
    assert isinstance(reducer.integrator, MergedIntegrator)
    detectors = [each.detector for each in reducer.integrator.others]
    lacking = {key for key, _ in frame.lacks}
    others = () if frame.moved is None else frame.moved.others
    told: dict[str, float] = {}
    for key, (i, name) in names.items():
        moved = others[i] if others else None
        effective = (moved or Moved()).effective(detectors[i].geometry, (name,))[name]
        told[key] = math.nan if detectors[i].data_key in lacking else effective
    return told

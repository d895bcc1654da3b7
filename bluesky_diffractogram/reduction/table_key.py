"""What a table depends on, as digests under which it is known again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from ..config import DiffractogramConfig, DiffractogramRange
from .corrections import Corrections
from .geometry import Geometry
from .limits import IntegrationRange
from .pyfai_library import pyfai_version

FORMAT = 3
# What was kept of cakes before had the first pixel of the splitting "full" wrong at times (`settle_split_buffer`).
CAKE_FORMAT = 2


@dataclass(frozen=True, slots=True)
class TableKey:
    """Digests of what a table depends on.

    Attributes
    ----------
    common
        Of all that the rows of every range depend on: geometry, output unit, splitting, corrections, pyFAI, ….
    whole
        Of that and of the ranges and their bins.
    """

    common: str
    whole: str


def table_key(
    config: DiffractogramConfig,
    geometry: Geometry,
    corrections: Corrections,
    frozen: tuple[IntegrationRange, ...] | None = None,
) -> TableKey | None:
    """Digests of everything that a table depends on; None where that is not known, so that nothing is kept.

    Parameters
    ----------
    config, geometry, corrections
        As `prepare` takes them.
    frozen
        The ranges, where their limits are not those that configuration and geometry give.
    """
    fingerprint = geometry.fingerprint()
    if fingerprint is None:
        return None
    common = _digest_of(
        {
            "format": FORMAT,
            "pyFAI": pyfai_version(),
            "package": version("bluesky-diffractogram"),
            "geometry": fingerprint,
            "unit": config.unit.name,
            "split": config.split_method[0],
            "corrections": (config.correct_solid_angle, config.polarization_factor, config.transformation),
            "mask": _digest(np.packbits(corrections.mask)),
            "dark": _digest(corrections.dark),
            "flat": _digest(corrections.flat),
        }
    )
    ranges: dict[str, Any] = {
        "ranges": [_limits(wanted) for wanted in config.ranges],
        "limit unit": _limit_unit(config),
        "npt": config.npts,
    }
    if frozen is not None:
        ranges["frozen"] = [each.pyfai_limits for each in frozen]
    return TableKey(common, _digest_of({"common": common, **ranges}))


def cake_key(config: DiffractogramConfig, common: str) -> str:
    """A digest of everything that the table of a cake depends on; `common` is that of `table_key`."""
    cake = config.cake
    assert cake is not None
    wanted = {
        "format": CAKE_FORMAT,
        "cake": _limits(cake.limits),
        "limit unit": _limit_unit(config),
        "npt": (cake.npt_rad, cake.npt_azim),
    }
    return _digest_of({"common": common, **wanted})


def _limits(wanted: DiffractogramRange) -> tuple[float | None, ...]:
    return wanted.arc.start, wanted.arc.end, wanted.radial_min, wanted.radial_max


def _limit_unit(config: DiffractogramConfig) -> str | None:
    return None if config.radial_limit_unit is None else config.radial_limit_unit.name


def _digest_of(parts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _digest(array: np.ndarray | None) -> str | None:
    return None if array is None else hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()

"""Which integrator a configuration gets: the one pass, one that goes bin by bin, or pyFAI itself."""

from __future__ import annotations

from collections.abc import Sequence

from ..config import DiffractogramConfig
from .by_bin import BinIntegrator, needs_bins
from .corrections import Corrections
from .geometry import Geometry
from .geometry_cache import keep_arrays, provide_arrays
from .integrator import Integrator, PyFAIIntegrator
from .limits import IntegrationRange, integration_ranges
from .onepass import OnePassIntegrator
from .preparation import prepare
from .table import Prepared
from .table_cache import load_prepared, store_prepared
from .table_key import table_key


def make_integrator(
    config: DiffractogramConfig,
    geometry: Geometry,
    corrections: Corrections,
    ranges: tuple[IntegrationRange, ...] | None = None,
    earlier: Sequence[Prepared] = (),
    *,
    keep: bool = True,
) -> Integrator:
    """One pass for a splitting, or what goes bin by bin where it takes more than sums; pyFAI itself for its methods.

    Parameters
    ----------
    config, geometry, corrections
        As `prepare` takes them.
    ranges
        With frozen limits; those of the configuration, on this detector alone, if None.
    earlier
        Tables whose rows are taken over where they are those of a range that is wanted again.
    keep
        Whether the table is kept on disk: not if the geometry is one of many, where it would take the room of what is
        used again.
    """
    if not isinstance(config.method, str):
        ranges = ranges or integration_ranges(config, geometry, corrections.mask)
        return PyFAIIntegrator(config, ranges, geometry, corrections)
    key = table_key(config, geometry, corrections, ranges)
    prepared = load_prepared(key, config) if keep else None
    if prepared is None:
        akin = [each for each in earlier if key is not None and each.common == key.common]
        if not akin:
            provide_arrays(geometry, config, azimuthal=not all(wanted.arc.full for wanted in config.ranges))
        limits = akin[0].detector_limits if akin else None
        ranges = ranges or integration_ranges(config, geometry, corrections.mask, limits)
        prepared = prepare(config, ranges, geometry, corrections, akin, None if key is None else key.common)
        if keep:
            keep_arrays(geometry, config)
            store_prepared(key, prepared)
    if needs_bins(config):
        return BinIntegrator(config, prepared, corrections.mask.shape)
    return OnePassIntegrator(prepared, variance=config.error_model is not None)

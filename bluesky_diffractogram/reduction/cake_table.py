"""The table of a cake: pyFAI's splitting over radial value and azimuth, in the pixels' order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import ConfigError, DiffractogramConfig
from .corrections import Corrections
from .disk_cache import cache_folder, read_arrays, remove_unusable, write_arrays
from .geometry import Geometry
from .geometry_cache import keep_arrays, provide_arrays
from .kernel import pair_rows
from .limits import IntegrationRange, limited_range
from .preparation import pixel_weights, stored_order, where_stored
from .splitting import split_cake
from .table import PixelTable, Rows, assemble
from .table_cache import pack_table, unpack_table
from .table_key import cake_key, table_key

MOST_BYTES = 1024**3


@dataclass(frozen=True, eq=False, slots=True)
class CakeTable:
    """All of a cake that is computed before the first frame.

    Attributes
    ----------
    table
        For the kernel; its bins are those of the first radial value and all azimuths, then of the second, ….
    radial
        ``(npt_rad,)`` bin centres in the unit of the axis.
    azimuthal
        ``(npt_azim,)`` bin centres in degrees.
    key
        A digest of all that it depends on; None where that is not known.
    limits
        The radial limits, in the unit that pyFAI integrates in.
    scale
        Times which they are in the unit of the axis (`IntegrationRange`).
    """

    table: PixelTable
    radial: NDArray[np.float64]
    azimuthal: NDArray[np.float64]
    key: str | None
    limits: tuple[float, float]
    scale: float


def cake_table(
    config: DiffractogramConfig,
    geometry: Geometry,
    corrections: Corrections,
    earlier: Sequence[CakeTable] = (),
    frozen: CakeTable | None = None,
) -> CakeTable:
    """The table of the configured cake: one of `earlier`, or one kept on disk, where it is the same; else a new one.

    Parameters
    ----------
    config
        Its ``cake``, splitting, corrections, units and transformation are used.
    geometry, corrections
        As the calibration sees the frame.
    earlier
        Tables of whatever cakes.
    frozen
        That of the calibration's geometry, whose limits hold here too, if `geometry` is another; see `make_integrator`.

    Raises
    ------
    ConfigError
        A limit that cannot be expressed in the unit of the axis.
    """
    if frozen is not None:
        return _make(config, geometry, corrections, None, frozen)
    common = table_key(config, geometry, corrections)
    key = None if common is None else cake_key(config, common.common)
    known = None if key is None else next((each for each in earlier if each.key == key), None) or _load(key)
    if known is not None:
        return known
    made = _make(config, geometry, corrections, key)
    _store(made)
    return made


def _make(
    config: DiffractogramConfig,
    geometry: Geometry,
    corrections: Corrections,
    key: str | None,
    frozen: CakeTable | None = None,
) -> CakeTable:
    cake, shape = config.cake, geometry.shape
    assert cake is not None
    assert shape is not None
    provide_arrays(geometry, config, azimuthal=True)
    if frozen is not None:
        limits = cake.limits
        wanted = IntegrationRange(
            limits.number, limits.arc, config.unit, cake.npt_rad, frozen.limits, frozen.scale
        )  # fmt: skip
    else:
        wanted = _wanted(config, geometry, corrections)
    (stretch,) = wanted.arc.parts()
    split = config.split_method[0]
    masked = geometry.with_mask(corrections.mask)
    touching = masked
    if not wanted.arc.full and split in ("no", "bbox"):
        touching = geometry.with_mask(corrections.mask | _beneath(geometry, stretch[0], split))
    matrix, azimuthal = split_cake(
        touching.integrator(), shape, (cake.npt_rad, cake.npt_azim), wanted.unit.pyfai, wanted.pyfai_limits, stretch,
        split,
    )  # fmt: skip
    owner, *columns = pair_rows(matrix.owner, matrix.bin, matrix.coefficient)
    stored_index = where_stored(shape, config.transformation)
    table = assemble(
        [Rows(stored_index.ravel()[owner], *columns)],
        [cake.npt_rad * cake.npt_azim],
        stored_order(pixel_weights(config, masked, corrections), stored_index),
        stored_order(corrections.dark, stored_index),
    )
    if frozen is None:
        keep_arrays(geometry, config)
    axis = matrix.axis * wanted.scale
    return CakeTable(table, axis, azimuthal, key, wanted.pyfai_limits, wanted.scale)


def _wanted(config: DiffractogramConfig, geometry: Geometry, corrections: Corrections) -> IntegrationRange:
    cake = config.cake
    assert cake is not None
    try:
        return limited_range(config, cake.limits, cake.npt_rad, geometry, corrections.mask)
    except ConfigError as error:
        raise ConfigError("cake.range", cake.range, error.allowed, error.reason) from error


def _beneath(geometry: Geometry, azimuth: float, split: str) -> NDArray[np.bool_]:
    """``(ny, nx)``, True where a pixel lies below an azimuth, in degrees, and does not touch it.

    pyFAI's two-dimensional splittings put what is less than a bin below the lower limit into the first bin, so that
    this has twice as many pixels as it should; not so its one-dimensional ones, nor the splitting "full".
    """
    highest = geometry.pixels("center", "chi_deg")
    if split == "bbox":
        highest = highest + geometry.pixels("delta", "chi_deg")
    return highest < np.deg2rad(azimuth)


def _load(key: str) -> CakeTable | None:
    folder = cache_folder()
    arrays = None if folder is None else read_arrays(folder / "cakes" / f"{key}.npz")
    if folder is None or arrays is None:
        return None
    try:
        low, high, scale = arrays["limits"].tolist()
        return CakeTable(unpack_table(arrays), arrays["radial"], arrays["azimuthal"], key, (low, high), scale)
    except Exception as error:  # no file of ours
        remove_unusable(folder / "cakes" / f"{key}.npz", error)
        return None


def _store(made: CakeTable) -> None:
    folder = cache_folder()
    if folder is not None and made.key is not None:
        limits = np.array([*made.limits, made.scale])
        arrays = {**pack_table(made.table), "radial": made.radial, "azimuthal": made.azimuthal, "limits": limits}
        write_arrays(folder / "cakes" / f"{made.key}.npz", arrays, MOST_BYTES)

"""Arrays of a geometry kept on disk, so that a new range or unit of a known geometry need not wait for them.

An Eiger 4M's take 72 MB for each radial unit, 72 MB for χ and 36 MB for the solid angle, an Eiger 16M's four times as
much: one of those, or five of the others, fill what is allowed. On a local disk reading takes a quarter of the time
that computing takes.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from numpy.typing import NDArray

from ..config import DiffractogramConfig
from .disk_cache import cache_folder, read_arrays, remove_unusable, write_arrays
from .geometry import Geometry
from .geometry_arrays import AZIMUTHAL_UNIT
from .pyfai_library import array_space, pyfai_version
from .threads import side_by_side

MOST_BYTES = 1024**3
FORMAT = 1
SOLID_ANGLE = "solid_angle"


def provide_arrays(geometry: Geometry, config: DiffractogramConfig, *, azimuthal: bool) -> None:
    """Have a geometry hold what the splitting needs of every pixel: what is kept is read, the rest computed.

    Parameters
    ----------
    geometry
        Of known shape; it holds the arrays until `Geometry.forget_arrays`.
    config
        Its splitting, unit and solid angle are used.
    azimuthal
        Whether χ is needed, which a full ring does without.
    """
    split = config.split_method[0]
    groups = [SOLID_ANGLE] if config.correct_solid_angle else []
    if split != "full":
        groups += [array_space(config.unit.pyfai), *([array_space(AZIMUTHAL_UNIT)] if azimuthal else [])]
    missing = {group: path for group in groups if not geometry.arrays(group) and (path := _path(geometry, group))}
    read = side_by_side(partial(read_arrays, path) for path in missing.values())
    for path, arrays in zip(missing.values(), read, strict=True):
        if arrays is not None:
            if _fit(arrays, geometry):
                geometry.adopt_arrays(arrays)
            else:
                remove_unusable(path, "its arrays are not those of the geometry")
    geometry.compute_arrays(config.unit.pyfai, split, azimuthal=azimuthal, solid_angle=config.correct_solid_angle)


def keep_arrays(geometry: Geometry, config: DiffractogramConfig) -> None:
    """Keep what a geometry holds of the arrays that `provide_arrays` provides, as far as it is not kept yet."""
    for group in (array_space(config.unit.pyfai), array_space(AZIMUTHAL_UNIT), SOLID_ANGLE):
        arrays, path = geometry.arrays(group), _path(geometry, group)
        # Without half widths they are the centres for splitting "no", which are computed quickly.
        if path is not None and not path.exists() and (group == SOLID_ANGLE or f"{group}_delta" in arrays):
            write_arrays(path, arrays, MOST_BYTES)


def _path(geometry: Geometry, group: str) -> Path | None:
    folder, fingerprint = cache_folder(), geometry.fingerprint()
    if folder is None or fingerprint is None:
        return None
    text = repr((FORMAT, pyfai_version(), fingerprint, group))
    return folder / "geometry" / f"{hashlib.sha256(text.encode()).hexdigest()}.npz"


def _fit(arrays: dict[str, NDArray], geometry: Geometry) -> bool:
    return bool(arrays) and all(array.shape in ((), geometry.shape) for array in arrays.values())

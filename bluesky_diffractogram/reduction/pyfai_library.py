"""The only module that opens pyFAI: what is asked of it by name."""

from __future__ import annotations

import copy
import difflib
import logging
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.errors import ConfigError
from .threads import OfThisThread

Shape = tuple[int, int]


def load_integrator(path: str | Path) -> Any:
    """What `pyFAI.load` gives, which raises whatever its parsers raise.

    The integrator never collects garbage: by itself it does when it is loaded and with each change, for 0.2 s among all
    that a session has imported, in whose thread settings are changed.
    """
    from pyFAI.integrator.azimuthal import AzimuthalIntegrator

    _settle_numexpr()
    integrator = AzimuthalIntegrator()
    integrator.auto_gc = False
    integrator.load(str(path))
    return integrator


@cache
def _settle_numexpr() -> None:
    """Have numexpr's number of threads set before pyFAI computes with them.

    blosc2, which tiled and databroker import, sets it when it is imported: while pyFAI computes in another thread
    that never returns, and with it whoever imports a catalogue after the callback was made.
    """
    with suppress(ImportError):
        import_module("blosc2")


class _NothingUnset:
    """numpy, whose empty arrays are zeros."""

    empty = staticmethod(np.zeros)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


@cache
def settle_split_buffer() -> None:
    """Have pyFAI begin its splitting "full" in two dimensions with zeros.

    It adds the parts of the first pixel to memory as that was left (2026.9, `splitpixel_common.calc_lut_2d`): they are
    wrong, or NaN and with them whole bins of the cake, if something else was there before.
    """
    with suppress(ImportError):
        import_module("pyFAI.ext.splitpixel_common").numpy = _NothingUnset()  # type: ignore[attr-defined]


in_our_words = OfThisThread()
"""pyFAI does not log that a range holds no pixel: who asks for one is told which, and where."""
logging.getLogger("pyFAI.ext.sparse_builder").addFilter(lambda _: not in_our_words.now)


def copied(integrator: Any, *, deep: bool = False) -> Any:
    """A copy of an integrator that keeps its parallax correction, which pyFAI's own copies lose.

    Parameters
    ----------
    integrator
        Whatever `load_integrator` gave.
    deep
        With a detector of its own and no arrays; else both are shared.
    """
    new = copy.deepcopy(integrator) if deep else copy.copy(integrator)
    new._parallax = getattr(integrator, "_parallax", None)
    return new


def keep_positions(integrator: Any, shape: Shape) -> None:
    """Have an integrator compute the positions of the pixels' centres once for all units, with the same bits.

    pyFAI does for each, in an array in which the three coordinates alternate; they are one after the other here.
    """
    compute = integrator.position_array
    rows, columns = np.indices(shape, dtype=np.float64)
    coordinates = integrator.calc_pos_zyx(d0=None, d1=rows, d2=columns, do_parallax=True)
    positions = np.moveaxis(np.stack(coordinates), 0, -1)

    def position_array(shape: Shape | None = None, corners: bool = False, **settings: Any) -> NDArray:
        if corners or settings.get("dtype", np.float64) != np.float64:
            return compute(shape, corners, **settings)
        return positions

    integrator.position_array = position_array


def unit_scale(unit: str) -> float:
    """Factor from what pyFAI computes with (rad, nm⁻¹, m) to `unit`."""
    from pyFAI.units import to_unit

    return float(to_unit(unit).scale)


def array_space(unit: str) -> str:
    """What pyFAI calls the arrays of a unit, the same for units that differ by a factor: ``"q"``, ``"2th"``, …."""
    from pyFAI.units import to_unit

    return str(to_unit(unit).space)


def binned_detector(detector: Any, by: Shape, shape: Shape | None) -> Any:
    """A plain detector like `detector` whose pixels are `by` times larger (pyFAI bins only those it knows)."""
    from pyFAI.detectors import Detector

    max_shape = None if shape is None else (shape[0] // by[0], shape[1] // by[1])
    binned = Detector(
        pixel1=detector.pixel1 * by[0], pixel2=detector.pixel2 * by[1], max_shape=max_shape,
        orientation=int(detector.orientation),
    )  # fmt: skip
    binned.dummy, binned.delta_dummy = detector.dummy, detector.delta_dummy
    if max_shape is not None and detector.mask is not None:
        parts = np.asarray(detector.mask).reshape(max_shape[0], by[0], max_shape[1], by[1])
        binned.mask = parts.any(axis=(1, 3)).astype(np.int8)
    return binned


def check_method(method: tuple[str, ...]) -> None:
    """Refuse a (splitting, algorithm, implementation) that this pyFAI does not offer here for one dimension.

    Raises
    ------
    ConfigError
        Naming what there is.
    """
    from pyFAI import method_registry
    from pyFAI.integrator import azimuthal  # noqa: F401  (fills the registry)

    offered = method_registry.IntegrationMethod.select_method(
        dim=1, split=method[0], algo=method[1], impl=method[2], degradable=False
    )
    if not offered:
        words = [str(name).partition("(")[2].rstrip(")").split(", ") for name in _available()]
        triples = [
            [split.split()[0], algorithm.lower(), by] for kind, split, algorithm, by, *_ in words if "1d" in kind
        ]
        raise ConfigError("method", list(method), "'no', 'bbox', 'full' or one of " + ", ".join(map(str, triples)))


def _available() -> list[Any]:
    from pyFAI.method_registry import IntegrationMethod

    return list(IntegrationMethod.list_available())


def pyfai_version() -> str:
    """The version of pyFAI that computes the numbers."""
    import pyFAI

    return str(pyFAI.version)


def calibrant_names() -> tuple[str, ...]:
    """The calibrants that pyFAI knows, in the order of the alphabet."""
    from pyFAI.calibrant import ALL_CALIBRANTS

    return tuple(sorted(ALL_CALIBRANTS.keys(), key=str.lower))


def calibrant_lines(name: str) -> NDArray[np.float64]:
    """d-spacings in Å, ``(n,)``, largest first, of a calibrant that pyFAI knows (``"CeO2"``, ``"LaB6"``, …).

    Parameters
    ----------
    name
        As pyFAI has it, in capital or small letters.

    Raises
    ------
    ValueError
        pyFAI does not know `name`; the message offers the names nearest to it and says where all are, or gives all.
    """
    return np.asarray(_calibrant(name).dspacing, dtype=float)


def calibrant_reflections(name: str) -> tuple[str, tuple[tuple[float, tuple[int, int, int] | None], ...]]:
    """What is said of a calibrant's cell, and d in Å and hkl of its lines, largest d first.

    Parameters
    ----------
    name
        As for `calibrant_lines`, and so is what is raised.
    """
    calibrant = _calibrant(name)
    spacings = np.asarray(calibrant.dspacing, dtype=float)
    config = calibrant.config
    if len(config.reflections) != len(spacings):  # a table without indices
        return "", tuple((float(d), None) for d in spacings)
    lines = ((float(each.dspacing), tuple(map(int, each.hkl)) or None) for each in config.reflections)
    return str(config.cell or ""), tuple((d, hkl) for d, hkl in lines)  # type: ignore[misc]


def _calibrant(name: str) -> Any:
    from pyFAI.calibrant import ALL_CALIBRANTS, get_calibrant

    known = {each.lower(): each for each in sorted(ALL_CALIBRANTS.keys())}
    found = known.get(name.lower())
    if found is None:
        near = [known[each] for each in difflib.get_close_matches(name.lower(), known, n=4)]
        if near:
            where = f"all {len(known)} names are those of pyFAI.calibrant.ALL_CALIBRANTS"
            raise ValueError(f"calibrant {name!r} is not known; near to it are {', '.join(near)}; {where}")
        raise ValueError(f"calibrant {name!r} is not known; all that pyFAI knows: {', '.join(known.values())}")
    return get_calibrant(found)

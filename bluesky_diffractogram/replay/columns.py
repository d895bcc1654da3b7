"""Files of columns out of a Dataset: one for each frame and range."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .chi import chi_text, chi_unit
from .curve import Curve
from .curves import curves
from .fxye import fxye_text
from .whole_file import whole_file
from .xy import xy_text

if TYPE_CHECKING:
    from xarray import Dataset

logger = logging.getLogger(__name__)


def to_xy(dataset: Dataset, folder: str | Path) -> list[Path]:
    """Write ``<frame>_range<i>.xy``: radial in the unit of the reduction, intensity, sigma where there is one.

    Read by ``numpy.loadtxt`` (pyFAI has no reader of its own), Dioptas and most others. Not for GSAS-II, which takes
    any file whose comments hold a "q" for one in q; give it `to_fxye` or `to_chi`. Empty bins are left out.

    Parameters
    ----------
    dataset
        As ``replay(…).to_xarray()`` gives it.
    folder
        Made if it is not there; files of the same names in it are replaced.

    Returns
    -------
    list of Path
        The files. A diffractogram with no filled bin gives none, which is logged.

    Raises
    ------
    ValueError
        `dataset` holds no diffractograms, or does not tell their unit; nothing is written.
    """
    return _write(dataset, folder, ".xy", xy_text)


def to_chi(dataset: Dataset, folder: str | Path, unit: str = "2th_deg") -> list[Path]:
    """Write ``<frame>_range<i>.chi`` as FIT2D does: four lines of head, radial, intensity.

    Read by Dioptas and FIT2D in any of the units, by GSAS-II in 2θ. Empty bins are left out.

    Parameters
    ----------
    dataset, folder
        As for `to_xy`.
    unit
        Of the axis, one of FIT2D's: ``2th_deg``, ``q_nm^-1``, ``d_A``, ``r_mm``.

    Returns
    -------
    list of Path
        As for `to_xy`.

    Raises
    ------
    ValueError
        As for `to_xy`; also if `unit` is none of FIT2D's, or the axis cannot be converted to it.
    """
    target = chi_unit(unit)
    return _write(dataset, folder, ".chi", lambda curve: chi_text(curve, target))


def to_fxye(dataset: Dataset, folder: str | Path) -> list[Path]:
    """Write ``<frame>_range<i>.fxye`` for GSAS-II: 2θ in centidegrees, intensity, ESD.

    q and d are converted to 2θ with the wavelength of the configuration or the calibration. Empty bins within a
    curve are zero with an ESD of zero, which GSAS-II gives no weight; at its ends they are left out. Without an
    error model the ESD is the square root of the intensity.

    Parameters
    ----------
    dataset, folder
        As for `to_xy`.

    Returns
    -------
    list of Path
        As for `to_xy`.

    Raises
    ------
    ValueError
        As for `to_xy`; also if the axis cannot be converted to 2θ: it is r, or the wavelength is not known.
    """
    return _write(dataset, folder, ".fxye", fxye_text)


def _write(dataset: Dataset, folder: str | Path, suffix: str, text: Callable[[Curve], str]) -> list[Path]:
    written: list[Path] = []
    empty = []
    for curve in curves(dataset):
        if not curve.filled.any():
            empty.append(curve.name)
            continue
        path = Path(folder) / (curve.name + suffix)
        content = text(curve)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, content)
        written.append(path)
    if empty:
        logger.warning("%d diffractograms without a filled bin give no %s file, the first is %s",
                       len(empty), suffix, empty[0])  # fmt: skip
    return written


def write_text(path: Path, text: str) -> None:
    """Write a file of columns: UTF-8 in .xy, and "?" for what is not ASCII in formats that are older than it."""
    encoding = "utf-8" if path.suffix == ".xy" else "ascii"
    with whole_file(path) as part:
        part.write_text(text, encoding=encoding, errors="replace", newline="\n")

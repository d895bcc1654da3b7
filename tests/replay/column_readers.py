"""What other programs make of files of columns: their rules, from their public sources, said once more.

Dioptas 0.6 loads with xypattern (``Pattern.load``), GSAS-II 5 with ``G2pwd_fxye.py`` and ``G2pwd_xye.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Refused(Exception):
    """GSAS-II says that this is no file of that kind."""


def dioptas(path: Path) -> tuple[Array, Array]:
    """x and y: the first two columns after comments, or after four lines in a .chi."""
    data = np.loadtxt(path, skiprows=4 if path.name.endswith(".chi") else 0)
    return data.T[0], data.T[1]


def gsas2_fxye(path: Path) -> tuple[Array, Array, Array, list[str]]:
    """2θ in degrees, y, weight and comments of the only bank."""
    lines = path.read_text(encoding="latin-1").splitlines()
    banks = [n for n, line in enumerate(lines) if n > 0 and line.startswith("BANK")]
    if lines[0].startswith("BANK") or len(banks) != 1:
        raise Refused("No BANK records found")
    if lines[1].lower().startswith("inst"):
        raise Refused("an instrument file that is not there")
    (bank,) = banks
    if "FXYE" not in lines[bank]:
        raise Refused("another kind of data")
    assert all(line.startswith("#") for line in lines[1:bank])
    int(lines[bank].split()[1])
    x, y, weight = [], [], []
    for line in lines[bank + 1 :]:
        if line.startswith(("BANK", "#")):
            break
        position, value, esd = (float(word) for word in line.split()[:3])
        x.append(position / 100.0)
        weighed = value > 0.0 and esd > 0.0
        y.append(value if weighed else 0.0)
        weight.append(esd**-2 if weighed else 0.0)
    return np.array(x), np.array(y), np.array(weight), lines[1:bank]


def gsas2_temperature(comments: list[str]) -> float:
    """The sample temperature in K that GSAS-II finds in the comments, 300 if none."""
    temperature = 300.0
    for line in comments:
        key, _, value = line.partition("=")
        if "Temp" in key:
            try:
                temperature = float(value)
            except ValueError:
                continue
    return temperature


def gsas2_chi(path: Path) -> tuple[Array, Array]:
    """2θ in degrees and y of a FIT2D file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    is_two_theta = is_q = False
    for line in (each.lower() + "\n" for each in lines[:4]):
        if "2-theta" in line:
            is_two_theta = True
        elif "chi_2theta" in line:
            raise Refused("the form that BNL writes")
        elif "q " in line:
            words = line.split()[1:]
            try:
                float(words[0])
            except (ValueError, IndexError):
                raise Refused("No wavelength in a Q chi file") from None
            is_q = True
    if not is_q and not is_two_theta:
        raise Refused("Not a 2-theta chi file")
    points = []
    for line in lines[4:]:
        words = line.replace(",", " ").replace(";", " ").split()
        if len(words) not in (2, 3):
            raise Refused("Unexpected information in line")
        points.append((float(words[0]), float(words[1])))
    x, y = np.array(points).T
    return x, np.where(y <= 0.0, 0.0, y)


def bank(path: Path) -> list[str]:
    """The words of the BANK record."""
    return next(line for line in path.read_text().splitlines() if line.startswith("BANK")).split()

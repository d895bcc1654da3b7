"""The calibration of a detector, and what follows from it for every pixel."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .geometry_arrays import compute_arrays
from .pyfai_library import binned_detector, copied

logger = logging.getLogger(__name__)

Shape = tuple[int, int]

MOST_USUAL_BINNING = 8
_PARAMETERS = {
    "distance": "dist", "poni1": "poni1", "poni2": "poni2", "rot1": "rot1", "rot2": "rot2", "rot3": "rot3",
}  # fmt: skip


class Geometry:
    """One pyFAI calibration, for frames of one shape once that is known.

    Obtained with `load_geometry`. The arrays that pyFAI computes from it (angles and solid angle of every
    pixel) are computed once and shared by all integrators that `integrator` hands out.

    Attributes
    ----------
    path, text, sha256
        The calibration file, what it says, and the SHA-256 of that.
    binning
        How many of the detector's pixels, along the slow and the fast axis, one pixel of a frame holds.
    """

    def __init__(self, integrator: Any, path: str, text: str, sha256: str, binning: Shape = (1, 1)) -> None:
        self._ai = integrator
        self.binning = binning
        self.path = path
        self.text = text
        self.sha256 = sha256

    @property
    def shape(self) -> Shape | None:
        """``(ny, nx)`` of the frames this geometry describes; None where the calibration does not say."""
        shape = self._ai.detector.shape or self._ai.detector.max_shape
        return (int(shape[0]), int(shape[1])) if shape else None

    @property
    def wavelength(self) -> float | None:
        """Wavelength in metres, or None."""
        return None if self._ai.wavelength is None else float(self._ai.wavelength)

    @property
    def tilt(self) -> float:
        """Angle between the detector's normal and the beam, in degrees."""
        return math.degrees(math.acos(min(1.0, float(self.normal[2]))))

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector ``(3,)`` normal to the detector: pyFAI's axes 1, 2 and 3 (3 is along the beam)."""
        return np.asarray(self._ai.rotation_matrix(), dtype=float)[:, 2]

    @property
    def distance(self) -> float:
        """Distance from the sample to the plane of the detector, in metres."""
        return float(self._ai.dist)

    @property
    def parameters(self) -> dict[str, float]:
        """The six of a PONI file, under its names: ``distance``, ``poni1`` and ``poni2`` in m, the rotations in rad."""
        return {name: float(getattr(self._ai, attribute)) for name, attribute in _PARAMETERS.items()}

    @property
    def orientation(self) -> int:
        """pyFAI's orientation of the detector, 1 to 4."""
        return int(self._ai.detector.orientation or 3)

    @property
    def rotations(self) -> tuple[float, float, float]:
        """PONI's rot1, rot2 and rot3, in radians."""
        return float(self._ai.rot1), float(self._ai.rot2), float(self._ai.rot3)

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Size of a pixel along the slow and the fast axis, in metres."""
        return float(self._ai.detector.pixel1), float(self._ai.detector.pixel2)

    def describe(self) -> str:
        """The geometry in pyFAI's own words, several lines."""
        return str(self._ai)

    def for_shape(self, shape: Shape) -> Geometry:
        """This geometry for frames of `shape`, which may be an exact binning of the detector.

        Raises
        ------
        ValueError
            The detector has another shape, and `shape` is not an exact binning of it.
        """
        expected = self.shape
        if expected == shape:
            return self
        geometry = Geometry(copied(self._ai, deep=True), self.path, self.text, self.sha256)
        geometry._ai.reset(collect_garbage=False)
        detector = geometry._ai.detector
        if expected is None:
            detector.shape = detector.max_shape = shape
            return geometry
        if detector.force_pixel and detector.guess_binning(shape):
            geometry.binning = tuple(detector.binning)
        else:
            factors = [
                full // part if part > 0 and full % part == 0 else 0 for full, part in zip(expected, shape, strict=True)
            ]
            if not all(factors):
                raise ValueError(f"the frame has shape {shape}, the detector of the calibration {expected}")
            geometry = geometry.binned((factors[0], factors[1]))
        slow, fast = geometry.binning
        odd = slow != fast or slow > MOST_USUAL_BINNING
        logger.log(
            logging.WARNING if odd else logging.INFO,
            "frames of shape %s are taken as a binning by %s of the detector's %s", shape, geometry.binning, expected,
        )  # fmt: skip
        return geometry

    def binned(self, by: Shape) -> Geometry:
        """This geometry with `by` of the detector's pixels in each of the frame's, for plain detectors of equal pixels.

        Raises
        ------
        ValueError
            The detector's pixels are not all alike.
        """
        detector = self._ai.detector
        if not detector.uniform_pixel or not detector.IS_FLAT:
            raise ValueError(f"the pixels of {detector.name} are not all alike and cannot be binned")
        geometry = Geometry(copied(self._ai, deep=True), self.path, self.text, self.sha256, by)
        geometry._ai.reset(collect_garbage=False)
        geometry._ai.detector = binned_detector(detector, by, self.shape)
        return geometry

    def moved(self, parameters: Mapping[str, float], wavelength: float | None = None) -> Geometry:
        """This geometry with some of its `parameters` and its wavelength in m another one; itself if they are its own.

        The detector is shared, and no array is.
        """
        now = self.parameters
        changed = {name: value for name, value in parameters.items() if value != now[name]}
        if not changed and wavelength in (None, self.wavelength):
            return self
        geometry = Geometry(copied(self._ai), self.path, self.text, self.sha256, self.binning)
        for name, value in changed.items():
            setattr(geometry._ai, _PARAMETERS[name], value)
        if wavelength is not None:
            geometry._ai.wavelength = wavelength
        geometry._ai.reset(collect_garbage=False)
        return geometry

    def with_mask(self, mask: NDArray[np.bool_]) -> Geometry:
        """This geometry with `mask` ``(ny, nx)``, True where a pixel is never used, instead of the detector's own."""
        geometry = Geometry(copied(self._ai), self.path, self.text, self.sha256, self.binning)
        geometry._ai.detector = copy.copy(self._ai.detector)
        # pyFAI casts masks to int8, where 256 or 0.5 would unmask: only 0 and 1 are handed over.
        geometry._ai.detector.mask = np.ascontiguousarray(mask, dtype=np.int8)
        return geometry

    def integrator(self, warm: Any = None) -> Any:
        """A `pyFAI.integrator.azimuthal.AzimuthalIntegrator` of its own.

        pyFAI keeps one table per integrator and method, and rebuilds it whenever the range changes: every
        range has its own integrator, and none is used by two threads.

        Parameters
        ----------
        warm
            An integrator from here that has integrated: the arrays it computed (angles, solid angle, …) are
            shared instead of being computed again, its tables are not.
        """
        return copied(self._ai if warm is None else warm)

    def apart(self) -> Geometry:
        """This geometry with a detector of its own and no arrays, for use beside other threads."""
        geometry = Geometry(copied(self._ai, deep=True), self.path, self.text, self.sha256, self.binning)
        geometry.forget_arrays()
        return geometry

    def positions(self, row: NDArray[np.float64], column: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where points of the detector are, seen from the sample.

        Parameters
        ----------
        row, column
            ``(n,)`` in pixels, 0 in the centre of the first.

        Returns
        -------
        numpy.ndarray
            ``(3, n)`` in metres, on pyFAI's axes 1, 2 and 3 (3 is along the beam).
        """
        third, first, second = self._ai.calc_pos_zyx(
            d1=np.array(row, np.float64), d2=np.array(column, np.float64), do_parallax=True
        )
        return np.stack([first, second, third])

    def fingerprint(self) -> str | None:
        """All that the angles of the pixels depend on, as text; None where files that we do not read are part of it."""
        detector = self._ai.detector
        settings = dict(detector.get_config())
        files = [value for value in settings.values() if isinstance(value, str) and Path(value).suffix]
        if files or detector.splinefile:
            return None
        numbers = [*self._ai.param, self._ai.wavelength, detector.pixel1, detector.pixel2, self._ai.chiDiscAtPi]
        parallax = str(getattr(self._ai, "parallax", None))
        name = f"{type(detector).__module__}.{type(detector).__qualname__}"
        return repr((name, sorted(settings.items(), key=str), numbers, parallax, self.shape, self.binning))

    def forget_arrays(self) -> None:
        """Free what was computed for every pixel; it is computed again when it is asked for."""
        # Without pyFAI's own collection of garbage, which takes longer than all else on the way to a kept table.
        self._ai.reset(collect_garbage=False)

    def detector_mask(self) -> NDArray[np.bool_] | None:
        """``(ny, nx)``, True where the detector has gaps or pixels known to be dead; None without any."""
        mask = self._ai.detector.mask
        return None if mask is None else np.asarray(mask) != 0

    def detector_image(self, key: str) -> NDArray | None:
        """``(ny, nx)`` the detector's own ``"dark"`` or ``"flat"``, as some NeXus descriptions hold them; or None."""
        image = self._ai.detector.darkcurrent if key == "dark" else self._ai.detector.flatfield
        return None if image is None else np.asarray(image)

    def detector_dummy(self) -> tuple[float, float] | None:
        """The value with which the detector marks bad pixels and its tolerance; None without one, or if it is 0."""
        dummy, delta = self._ai.detector.dummy, self._ai.detector.delta_dummy
        # 0 (pyFAI's dummy of the Lambda detectors) is also what a counting pixel reads when nothing came.
        if dummy is None or dummy == 0:
            return None
        return float(dummy), 0.0 if delta is None else float(delta)

    def pixels(self, kind: str, unit: str) -> NDArray:
        """pyFAI's array for every pixel, in SI units (2θ and χ in radians, r and d in metres, q in nm⁻¹).

        Parameters
        ----------
        kind
            ``"center"`` or ``"delta"`` (half width), ``(ny, nx)``; ``"corner"``, ``(ny, nx, 4, 2)`` of radial, χ.
        unit
            A radial unit of pyFAI, or ``"chi_deg"``.
        """
        return self._ai.array_from_unit(self.shape, kind, unit, scale=False)

    def compute_arrays(self, unit: str, split: str, *, azimuthal: bool = True, solid_angle: bool = True) -> None:
        """Compute what a splitting needs of every pixel (`geometry_arrays.compute_arrays`)."""
        assert self.shape is not None
        compute_arrays(self._ai, self.shape, unit, split, azimuthal=azimuthal, solid_angle=solid_angle)

    def arrays(self, group: str) -> dict[str, NDArray]:
        """What is computed for every pixel of one of pyFAI's spaces, or ``"solid_angle"``, under pyFAI's names."""
        found = self._ai._cached_array.items()
        return {
            name: np.asarray(array)
            for name, array in found
            # pyFAI keeps polarization there as well, under a tuple
            if isinstance(name, str) and name.startswith(group) and not name.endswith("_corner") and array is not None
        }

    def adopt_arrays(self, arrays: dict[str, NDArray]) -> None:
        """Hold what `arrays` gave of an equal geometry, instead of computing it."""
        # pyFAI's checksums are numbers.
        self._ai._cached_array.update({name: array if array.ndim else array.item() for name, array in arrays.items()})

    def solid_angle(self) -> NDArray:
        """``(ny, nx)`` solid angle of every pixel relative to that at the point of normal incidence."""
        return self._ai.solidAngleArray(self.shape)

    def polarization(self, factor: float) -> NDArray:
        """``(ny, nx)`` polarization correction, `factor` +1 for horizontal."""
        return self._ai.polarization(self.shape, factor)

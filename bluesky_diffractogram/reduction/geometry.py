"""The calibration of a detector; the only module that opens pyFAI."""

from __future__ import annotations

import copy
import hashlib
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.errors import ConfigError

logger = logging.getLogger(__name__)

Shape = tuple[int, int]

# Shorter than gamma rays at beamlines, longer than soft X-rays and neutrons: a wavelength given in Å instead of
# metres falls outside by orders of magnitude.
WAVELENGTH_LIMITS_M = (1e-14, 1e-7)

MOST_USUAL_BINNING = 8


@dataclass(frozen=True, eq=False, slots=True)
class SplitMatrix:
    """pyFAI's splitting of one range as a sparse matrix in the order of the pixels.

    Attributes
    ----------
    owner, bin, coefficient
        ``(entries,)``: a pixel's index in the flattened frame, a bin, and which part of the pixel goes there.
    axis
        ``(npt,)`` bin centres.
    """

    owner: NDArray[np.uint32]
    bin: NDArray[np.int32]
    coefficient: NDArray[np.float32]
    axis: NDArray[np.float64]


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
        return None if shape is None else (int(shape[0]), int(shape[1]))

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
        geometry = Geometry(copy.deepcopy(self._ai), self.path, self.text, self.sha256)
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
        geometry = Geometry(copy.deepcopy(self._ai), self.path, self.text, self.sha256, by)
        geometry._ai.reset(collect_garbage=False)
        geometry._ai.detector = _binned_detector(detector, by, self.shape)
        return geometry

    def with_mask(self, mask: NDArray[np.bool_]) -> Geometry:
        """This geometry with `mask` ``(ny, nx)``, True where a pixel is never used, instead of the detector's own."""
        geometry = Geometry(copy.copy(self._ai), self.path, self.text, self.sha256, self.binning)
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
        return copy.copy(self._ai if warm is None else warm)

    def fingerprint(self) -> str | None:
        """All that the angles of the pixels depend on, as text; None where files that we do not read are part of it."""
        detector = self._ai.detector
        settings = dict(detector.get_config())
        files = [value for value in settings.values() if isinstance(value, str) and Path(value).suffix]
        if files or detector.splinefile:
            return None
        numbers = [*self._ai.param, self._ai.wavelength, detector.pixel1, detector.pixel2, self._ai.chiDiscAtPi]
        name = f"{type(detector).__module__}.{type(detector).__qualname__}"
        return repr((name, sorted(settings.items(), key=str), numbers, self.shape, self.binning))

    def forget_arrays(self) -> None:
        """Free what was computed for every pixel; it is computed again when it is asked for."""
        # Without pyFAI's own collection of garbage, which takes longer than all else on the way to a kept table.
        self._ai.reset(collect_garbage=False)

    def splitting(
        self,
        npt: int,
        unit: str,
        limits: tuple[float, float],
        azimuth_range: tuple[float, float] | None,
        split: str,
    ) -> SplitMatrix:
        """Which part of each unmasked pixel goes into which bin, as pyFAI splits them.

        Parameters
        ----------
        npt, unit, limits, split
            Bins, pyFAI's radial unit, its radial limits, and ``"no"``, ``"bbox"`` or ``"full"``.
        azimuth_range
            In degrees within [−180, 180]; None is the full ring.
        """
        scale = self.unit_scale(unit)
        matrix = self._ai.setup_sparse_integrator(
            self.shape,
            npt,
            mask=self._ai.detector.mask,
            pos0_range=(limits[0] / scale, limits[1] / scale),
            pos1_range=None
            if azimuth_range is None
            else (math.radians(azimuth_range[0]), math.radians(azimuth_range[1])),
            unit=unit,
            split=split,
            algo="CSC",
            scale=False,
        )
        start = np.asarray(matrix.indptr)
        owner = np.repeat(np.arange(len(start) - 1, dtype=np.uint32), np.diff(start))
        return SplitMatrix(
            owner, np.asarray(matrix.indices), np.asarray(matrix.data), np.asarray(matrix.bin_centers) * scale
        )

    @staticmethod
    def unit_scale(unit: str) -> float:
        """Factor from what pyFAI computes with to `unit`."""
        from pyFAI.units import to_unit

        return float(to_unit(unit).scale)

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

    def compute_arrays(self, unit: str) -> None:
        """Compute what splitting by bounding boxes needs of every pixel, radial and azimuthal side by side.

        They are most of the time that the first frame waits for. pyFAI computes one array of a geometry at a
        time, so the azimuthal ones are those of a copy.
        """
        other = copy.deepcopy(self._ai)

        def azimuthal() -> None:
            for kind in ("center", "delta"):
                other.array_from_unit(self.shape, kind, "chi_deg", scale=False)

        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(azimuthal)
            for kind in ("center", "delta"):
                self.pixels(kind, unit)
            self.solid_angle()
            done.result()
        for name, array in other._cached_array.items():
            self._ai._cached_array.setdefault(name, array)

    def solid_angle(self) -> NDArray:
        """``(ny, nx)`` solid angle of every pixel relative to that at the point of normal incidence."""
        return self._ai.solidAngleArray(self.shape)

    def polarization(self, factor: float) -> NDArray:
        """``(ny, nx)`` polarization correction, `factor` +1 for horizontal."""
        return self._ai.polarization(self.shape, factor)


def load_geometry(path: str | Path, *, wavelength: float | None = None, shape: Shape | None = None) -> Geometry:
    """Open a calibration file.

    Parameters
    ----------
    path
        Anything that `pyFAI.load` reads, usually a PONI file (version 1, 2 or 2.1).
    wavelength
        In metres; takes the place of the calibration's. A difference is logged.
    shape
        ``(ny, nx)`` of the frames, for calibrations that do not say it.

    Raises
    ------
    ConfigError
        The file is not there, is no calibration, or holds values that no geometry has (pyFAI loads an
        empty file, a negative distance, or a wavelength in Å without complaint).
    """
    import pyFAI

    allowed = "a geometry file that pyFAI.load reads, e.g. a PONI file"
    file = Path(path)
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigError("calibration", str(path), allowed, f"cannot be read ({error.strerror})") from error
    try:
        integrator = pyFAI.load(str(file))
    except Exception as error:  # pyFAI raises whatever its parsers raise
        first_line = str(error).partition("\n")[0][:160]
        raise ConfigError("calibration", str(path), allowed, f"is no calibration ({first_line})") from error
    if wavelength is not None:
        given = integrator.wavelength
        if given is not None and not math.isclose(given, wavelength, rel_tol=1e-4):
            logger.warning("wavelength %g m is used instead of the calibration's %g m", wavelength, given)
        integrator.wavelength = wavelength
    _check(integrator, str(path), allowed)
    geometry = Geometry(integrator, str(path), raw.decode("utf-8", "replace"), hashlib.sha256(raw).hexdigest())
    if shape is not None and geometry.shape is None:
        geometry = geometry.for_shape(shape)
    return geometry


def _check(integrator: Any, path: str, allowed: str) -> None:
    """Refuse what pyFAI loads although no detector can be like that."""

    def refuse(reason: str) -> None:
        raise ConfigError("calibration", path, allowed, f"is no usable calibration: {reason}")

    detector = integrator.detector
    for name, size in (("pixel1", detector.pixel1), ("pixel2", detector.pixel2)):
        if size is None or not math.isfinite(size) or size <= 0:
            refuse(f"{name} is {size}")
    if not math.isfinite(integrator.dist) or integrator.dist <= 0:
        refuse(f"the distance is {integrator.dist} m")
    for name in ("poni1", "poni2", "rot1", "rot2", "rot3"):
        if not math.isfinite(getattr(integrator, name)):
            refuse(f"{name} is {getattr(integrator, name)}")
    wavelength = integrator.wavelength
    low, high = WAVELENGTH_LIMITS_M
    if wavelength is not None and not low < wavelength < high:
        refuse(f"the wavelength is {wavelength} m (PONI files give it in metres)")


def pyfai_version() -> str:
    """The version of pyFAI that computes the numbers."""
    import pyFAI

    return str(pyFAI.version)


def _binned_detector(detector: Any, by: Shape, shape: Shape | None) -> Any:
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


def calibrant_lines(name: str) -> NDArray[np.float64]:
    """d-spacings in Å, ``(n,)``, largest first, of a calibrant that pyFAI knows (``"CeO2"``, ``"LaB6"``, …).

    Raises
    ------
    ValueError
        pyFAI does not know `name`.
    """
    from pyFAI.calibrant import ALL_CALIBRANTS, get_calibrant

    known = sorted(ALL_CALIBRANTS.keys())
    if name not in known:
        raise ValueError(f"calibrant {name!r} is not known; known are {', '.join(known)}")
    return np.asarray(get_calibrant(name).dspacing, dtype=float)

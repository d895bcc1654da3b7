"""From a frame to its reduction: test, transform, integrate, find peaks."""

from __future__ import annotations

import copy
import logging
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from weakref import WeakKeyDictionary

from numpy.typing import NDArray

from ..config import DiffractogramConfig
from .background import backgrounds
from .cake import CakeIntegrator
from .cake_table import cake_table
from .choice import make_integrator
from .corrections import Corrections, make_corrections, read_images
from .dark import AnyDark, MergedDark, check_dark
from .detectors import Detector
from .diffractogram import Reduction
from .frame import Frame, FrameError, check_image
from .geometry import Geometry
from .integrator import Integrator
from .limits import IntegrationRange, open_limits
from .merged import MergedIntegrator, merged_integrator, validity_of
from .moved import Moved
from .peak_search import PeakSearch
from .reports import Reports
from .steps import Steps
from .table import Prepared
from .table_integrator import TableIntegrator
from .tracked_lines import TrackedLine, tracked_lines
from .transformation import transformed_shape
from .validity import Validity

logger = logging.getLogger(__name__)

Shape = tuple[int, int]

# What pyFAI's integrators hold of every pixel, for each range: 435 MB of an Eiger 4M's.
BYTES_OF_A_PIXEL = 100


class Reducer:
    """Reduces frames of one shape under one configuration.

    Building it computes everything that does not depend on the frame, which takes from a fraction of a second
    to several seconds on large detectors.

    Parameters
    ----------
    config
        The configuration.
    geometry
        As `open_geometry` gave it for this configuration.
    shape
        ``(ny, nx)`` of the stored frames.
    images
        The mask, dark and flat (`read_images`), read now if None.
    earlier
        Reducers from which ranges, and a cake, that they have in common with this one are taken over.
    others
        The further detectors whose frames are merged with those of this one (`open_detectors`).
    calibrated
        The reducer of the calibration's own geometry, if this one's is moved (`moved`): its limits hold here too.

    Raises
    ------
    FrameError
        `shape` is neither the detector's nor a binning of it.
    ConfigError
        The mask, dark or flat do not fit frames of this shape.
    """

    def __init__(
        self,
        config: DiffractogramConfig,
        geometry: Geometry,
        shape: Shape,
        images: Mapping[str, NDArray] | None = None,
        earlier: Sequence[Reducer] = (),
        others: Sequence[Detector] = (),
        calibrated: Reducer | None = None,
    ) -> None:
        self.config = config
        self.shape = shape
        try:
            self.geometry = geometry.for_shape(transformed_shape(shape, config.transformation))
        except ValueError as error:
            raise FrameError("shape", str(error)) from error
        self._untouched = self.geometry
        if config.moves:
            # Some units leave the detector with other positions of its pixels, in single precision, for whatever comes
            # next: no table may depend on which ones were built before.
            self.geometry = self._untouched.apart()
        images = read_images(config) if images is None else images
        known = None if calibrated is None else calibrated._corrections
        corrections = make_corrections(config, self.geometry, images) if known is None else known
        self._corrections: Corrections | None = corrections if config.moves else None
        self._others, self._borrows = tuple(others), False
        prepared = [known for each in earlier for known in each.all_prepared]
        make = partial(make_integrator, earlier=prepared, keep=calibrated is None)
        self.integrator: Integrator | MergedIntegrator
        if others:
            there = None if calibrated is None else calibrated.integrator
            assert there is None or isinstance(there, MergedIntegrator)
            self.integrator = merged_integrator(config, self.geometry, corrections, others, make, there)
        else:
            frozen = None if calibrated is None else calibrated.ranges
            self.integrator = make(config, self.geometry, corrections, frozen)
        self.ranges: tuple[IntegrationRange, ...] = self.integrator.ranges
        self.validity = Validity.from_config(config, self.geometry.detector_dummy())
        self.mask = corrections.mask
        self.axes = self.integrator.axes
        self.coverage = self.integrator.coverage
        self.cake: CakeIntegrator | None = None
        if config.cake is not None:
            cakes = [each.cake.prepared for each in earlier if each.cake is not None]
            whole = None if calibrated is None or calibrated.cake is None else calibrated.cake.prepared
            self.cake = CakeIntegrator(cake_table(config, self.geometry, corrections, cakes, whole))
        level = logging.WARNING if calibrated is None else logging.DEBUG
        self._backgrounds = backgrounds(config, self.geometry, images, self.ranges, self.axes, level)
        if isinstance(self.integrator, MergedIntegrator):
            table = self.integrator.table()
        else:  # which tells the noise of means, and not of medians or of what some pixels are left out of
            table = None if self.prepared is None or config.statistic.method != "mean" else self.prepared.table
        self.tracked: tuple[tuple[TrackedLine, ...], ...]
        self.tracked = self.tracked_in(self.geometry) if calibrated is None else calibrated.tracked
        """The peaks of each range that are followed by name."""
        find_peaks = PeakSearch(config, table, [len(axis) for axis in self.axes], varying=bool(others))
        self._steps = Steps(self.integrator, self.cake, find_peaks)
        # Of the darks in force, which runs hold as long as they are that.
        self._steps_with: WeakKeyDictionary[AnyDark, Steps] = WeakKeyDictionary()
        self._reports: Reports = Reports() if calibrated is None else calibrated._reports
        if calibrated is None:
            self._reports.nowhere(config, {line.name for lines in self.tracked for line in lines})
        self._reports.empty_ranges(self.ranges, self.integrator.pixels, self._limits_of)
        # Angles and solid angles of all pixels are some 400 MB on large detectors, and the tables are built.
        self.geometry.forget_arrays()
        if calibrated is not None:  # nor are those positions kept, which may take as much
            self.geometry = self._untouched

    @property
    def prepared(self) -> Prepared | None:
        """What was computed before the first frame; None where pyFAI itself integrates, or several detectors merge."""
        return self.integrator.prepared if isinstance(self.integrator, TableIntegrator) else None

    @property
    def all_prepared(self) -> tuple[Prepared, ...]:
        """What was computed before the first frame, for each detector; nothing where pyFAI itself integrates."""
        if isinstance(self.integrator, MergedIntegrator):
            return self.integrator.prepared
        return () if self.prepared is None else (self.prepared,)

    @property
    def nbytes(self) -> int:
        """Memory that it takes, about, besides that of another whose tables it has."""
        if self._borrows:
            return 0
        tables = self._steps.nbytes + sum(each.nbytes_beside(self._steps) for each in self._steps_with.values())
        if self.all_prepared:
            return tables
        return tables + BYTES_OF_A_PIXEL * self.shape[0] * self.shape[1] * len(self.ranges)

    def moved(self, to: Moved, images: Mapping[str, NDArray], earlier: Sequence[Reducer] = ()) -> Reducer:
        """The reducer for frames whose geometry is not the calibration's: same limits and axes, another table.

        Parameters
        ----------
        to
            What is told of their geometry.
        images, earlier
            As for `Reducer`.

        Returns
        -------
        Reducer
            This one where the geometry is the calibration's after all.
        """
        self._reports.far_away(to.distance, self._untouched.distance)
        geometry = to.of(self._untouched)
        told = to.others or (None,) * len(self._others)
        others = [each.moved(of_other) for each, of_other in zip(self._others, told, strict=True)]
        if geometry is self._untouched and all(map(operator.is_, others, self._others)):
            return self
        if self._only_the_beam_differs(geometry, others):
            return self._in_another_beam(geometry, images)
        return Reducer(self.config, geometry, self.shape, images, earlier, others, calibrated=self)

    def _only_the_beam_differs(self, geometry: Geometry, others: Sequence[Detector]) -> bool:
        """Whether all pixels are where they are on axes of 2θ and r, as only the wavelength is another."""
        pairs = [(geometry, self._untouched)]
        pairs += [(one.geometry, other.geometry) for one, other in zip(others, self._others, strict=True)]
        return not self.config.unit.needs_wavelength and all(a.parameters == b.parameters for a, b in pairs)

    def _in_another_beam(self, geometry: Geometry, images: Mapping[str, NDArray]) -> Reducer:
        """This one with its tables, for frames in which only the lines of the sample lie elsewhere."""
        other = copy.copy(self)
        other.geometry, other._borrows = geometry, True
        other._backgrounds = backgrounds(self.config, geometry, images, self.ranges, self.axes, logging.DEBUG)
        return other

    def tracked_in(self, geometry: Geometry) -> tuple[tuple[TrackedLine, ...], ...]:
        """The peaks of each range that are followed by name, and where they are looked for in a geometry."""
        each = zip(self.ranges, self.axes, strict=True)
        return tuple(tracked_lines(self.config, wanted, axis, self.geometry, geometry) for wanted, axis in each)

    def reduce(self, frame: Frame) -> Reduction:
        """Reduce one frame.

        Raises
        ------
        FrameError
            The frame's shape or dtype is not the detector's, its monitor cannot divide, or it has no dark of its shape
            where one is to come with it.
        """
        check_image(frame.image, self.shape)
        steps = self._steps_for(frame.dark)
        if isinstance(self.integrator, MergedIntegrator):
            self.integrator.check(frame.others)
            steps = steps.only([image is not None for image in frame.others], self.config)
        monitor = frame.monitor
        if monitor is not None and not (math.isfinite(monitor) and monitor > 0.0):
            raise FrameError("normalization", f"the normalization is {monitor}, expected a positive number")
        # What was added up has been tested frame by frame: what was invalid is NaN.
        validity = self.validity if frame.exposures == 1 else Validity(mask_invalid=False)
        if self._reports.frame_is_first:
            self._report_masked(frame, validity)
        diffractograms = steps.integrate(frame, validity)
        if self._backgrounds is not None:
            times = frame.exposures if self.config.frames_per_event == "sum" else 1
            diffractograms = tuple(
                replace(each, intensity=each.intensity - times * known)
                for each, known in zip(diffractograms, self._backgrounds, strict=True)
            )
        cake = None
        if steps.cake is not None:
            cake = steps.cake.integrate(frame.image, validity, monitor=monitor, exposures=frame.exposures)
        peaks = (steps.find_peaks(i, each, frame.exposures) for i, each in enumerate(diffractograms))
        return Reduction(frame, diffractograms, tuple(peaks), cake)

    def _steps_for(self, dark: AnyDark | None) -> Steps:
        """What a frame with this dark is reduced by: made for the first of them, and kept as long as the dark is."""
        if dark is None:
            of_run = self.config.dark_of_run
            if of_run is not None and not of_run.optional:
                raise FrameError("no dark", f"no dark came before it in its run, {of_run.meaning}")
            return self._steps
        if dark not in self._steps_with:
            parts = dark.parts if isinstance(dark, MergedDark) else (dark,)
            detectors = [(self.shape, self.config.transformation, self.mask)]
            if isinstance(self.integrator, MergedIntegrator):
                others = self.integrator.others
                detectors += [(each.detector.shape, each.detector.config.transformation, each.mask) for each in others]
            for part, (shape, transformation, mask) in zip(parts, detectors, strict=True):
                if part is not None:
                    check_dark(part, shape)
                    self._reports.unknown_dark(part, transformation, mask)
            self._steps_with[dark] = self._steps.with_dark(dark)
        return self._steps_with[dark]

    def _report_masked(self, frame: Frame, validity: Validity) -> None:
        self._reports.frame_is_first = False
        self._reports.masked("", frame.image, validity, self.mask, self.config)
        if isinstance(self.integrator, MergedIntegrator):
            for image, each in zip(frame.others, self.integrator.others, strict=True):
                if image is not None:
                    name, own = f" under {each.detector.data_key!r}", validity_of(each, frame.exposures)
                    self._reports.masked(name, image, own, each.mask, each.detector.config)

    def _limits_of(self, wanted: IntegrationRange) -> tuple[float, float]:
        """The radial limits of the detectors, in the unit that pyFAI integrates in."""
        if isinstance(self.integrator, MergedIntegrator):
            return self.integrator.detector_limits
        if self.prepared is None:
            return open_limits(self.geometry, wanted.unit, self.config.split_method[0], self.mask)
        return self.prepared.detector_limits

"""What is said once of a detector and its frames, wherever it has moved since."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from ..config import DiffractogramConfig, parse_unit
from .dark import Dark
from .limits import IntegrationRange
from .transformation import transform
from .validity import Validity

logger = logging.getLogger(__name__)

Limits = tuple[float, float]

MASKED_WORTH_A_WARNING = 0.2
# So many times the calibration's distance no detector moves away; a millimetre is a thousandth of a metre.
FAR = 100.0


class Reports:
    """Logs what people should know of their configuration, each thing once.

    Attributes
    ----------
    frame_is_first
        Whether nothing has been said of a frame yet.
    """

    def __init__(self) -> None:
        self.frame_is_first = True
        self._dark, self._far = False, False
        self._empty: set[int] = set()

    def masked(
        self, name: str, image: NDArray, validity: Validity, mask: NDArray[np.bool_], config: DiffractogramConfig
    ) -> None:
        """Of a first frame much is invalid, and masked.

        Parameters
        ----------
        name
            Which of several detectors', in words.
        image
            ``(ny, nx)`` as it is stored.
        validity, mask, config
            The detector's: the rules, which pixels never count, and its transformation.
        """
        lost = _lost(validity.invalid(transform(image, config.transformation)), mask)
        if lost > MASKED_WORTH_A_WARNING:
            logger.warning(
                "%.0f %% of the first frame's pixels%s are invalid (dead, saturated, NaN or outside valid_range); "
                "if they are honest, set mask_invalid, dummy or valid_range",
                100.0 * lost, name,
            )  # fmt: skip

    def unknown_dark(self, dark: Dark, transformation: str, mask: NDArray[np.bool_]) -> None:
        """Much of a dark is not known."""
        if self._dark:
            return
        lost = _lost(np.isnan(transform(dark.image, transformation)), mask)
        if lost > MASKED_WORTH_A_WARNING:
            self._dark = True
            what = "%.0f %% of the pixels of the dark %d are invalid, and masked in the frames that it belongs to"
            logger.warning(what, 100.0 * lost, dark.number)

    def far_away(self, distance: float | None, calibrated: float) -> None:
        """A distance in m, if one is told, is so different from the calibration's that it may be in another unit."""
        if self._far or distance is None:
            return
        if not 1.0 / FAR < distance / calibrated < FAR:
            self._far = True
            what = "the distance is told as %g m, and is %g m in the calibration: is the reading in another unit?"
            logger.warning(what, distance, calibrated)

    def nowhere(self, config: DiffractogramConfig, there: Collection[str]) -> None:
        """Peaks that are to be followed lie in no range.

        Parameters
        ----------
        config
            Its ``peaks`` are looked at.
        there
            The names of those that are followed in any range.
        """
        settings = config.peaks
        if settings is None:
            return
        for peak in settings.track or ():
            if peak.name not in there:
                what = "the peak %r, near %g %s, is on the axis of no range, and has no data keys"
                unit = config.unit if peak.unit is None else parse_unit(peak.unit)
                logger.warning(what, peak.name, peak.near, unit.symbol)
        for phase in settings.phases or ():
            if not any(name.startswith(f"{phase.name}_") for name in there):
                logger.warning("no line of the phase %r is on the axis of any range", phase.name)

    def empty_ranges(
        self, ranges: Sequence[IntegrationRange], pixels: Sequence[int], limits: Callable[[IntegrationRange], Limits]
    ) -> None:
        """There are ranges without pixels.

        Parameters
        ----------
        ranges, pixels
            All of them, and how many pixels each has.
        limits
            Gives the radial limits of the detector in the unit of a range, without its scale.
        """
        for wanted, there in zip(ranges, pixels, strict=True):
            if there or wanted.number in self._empty:
                continue
            self._empty.add(wanted.number)
            low, high = limits(wanted)
            logger.warning(
                "range %d (azimuth %g…%g°, radial %g…%g %s) holds no unmasked pixel; the detector covers %g…%g %s",
                wanted.number, *wanted.azimuth_range, *wanted.radial_range, wanted.unit.symbol,
                low * wanted.scale, high * wanted.scale, wanted.unit.symbol,
            )  # fmt: skip


def _lost(invalid: NDArray | None, mask: NDArray[np.bool_]) -> float:
    """Which part of the pixels that are not masked anyway is invalid."""
    usable = ~mask
    total = int(usable.sum())
    return 0.0 if invalid is None or not total else int((invalid & usable).sum()) / total

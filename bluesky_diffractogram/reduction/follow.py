"""Which of a curve's peaks is the one that was seen before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .diffractogram import Peaks


@dataclass(frozen=True, slots=True)
class PeakFollower:
    """Follows one peak from curve to curve by its position.

    It keeps no state: the caller holds the last position and gives it back, one per range.

    Attributes
    ----------
    widths
        A peak may have moved by so many of its full widths at half maximum since it was last seen: one, so that a
        line that is missing in one curve is not taken for its neighbour,
    least_bins
        but by this many bins in any case,
    most_bins
        and by this many at most: a halo is no neighbour of a line a hundred bins away.
    """

    widths: float = 1.0
    least_bins: float = 5.0
    most_bins: float = 25.0

    def follow(self, reference: float | None, peaks: Peaks, step: float) -> tuple[int | None, float | None]:
        """Find the peak that `reference` was.

        Parameters
        ----------
        reference
            Where the peak was last seen, in the radial unit; None when none has been seen yet.
        peaks
            Of the present curve, strongest first.
        step
            Width of a bin, in the radial unit.

        Returns
        -------
        index
            Which of `peaks` it is; None if none is near enough. Without a reference, the strongest.
        reference
            Its position now; what was given if it was not seen, so that it is found again when it comes back.
        """
        if not len(peaks):
            return None, reference
        if reference is None:
            return 0, float(peaks.position[0])
        distance = np.abs(peaks.position - reference)
        window = np.clip(self.widths * np.nan_to_num(peaks.fwhm), self.least_bins * step, self.most_bins * step)
        near = np.flatnonzero(distance <= window)
        if not len(near):
            return None, reference
        index = int(near[distance[near].argmin()])
        return index, float(peaks.position[index])


follow = PeakFollower().follow
"""`PeakFollower.follow` with the windows as they are by default."""

"""What a frame is given to, one after the other: the integration, the cake, the search for peaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..config import DiffractogramConfig
from .cake import CakeIntegrator
from .dark import AnyDark, MergedDark
from .diffractogram import Diffractogram
from .frame import Frame
from .integrator import Integrator
from .merged import MergedIntegrator
from .peak_search import PeakSearch
from .table import Arrays
from .table_integrator import TableIntegrator
from .validity import Validity


@dataclass(frozen=True, eq=False, slots=True)
class Steps:
    """What a frame is given to, one after the other."""

    integrator: Integrator | MergedIntegrator
    cake: CakeIntegrator | None
    find_peaks: PeakSearch
    # The same without some of the detectors, by which of the further ones are there.
    _parts: dict[tuple[bool, ...], Steps] = field(default_factory=dict)

    def integrate(self, frame: Frame, validity: Validity) -> tuple[Diffractogram, ...]:
        """The curves of a frame, of all its detectors that are there."""
        monitor, exposures = frame.monitor, frame.exposures
        if isinstance(self.integrator, MergedIntegrator):
            others = [image for image in frame.others if image is not None]
            return self.integrator.integrate(frame.image, validity, others, monitor=monitor, exposures=exposures)
        return self.integrator.integrate(frame.image, validity, monitor=monitor, exposures=exposures)

    def only(self, there: Sequence[bool], config: DiffractogramConfig) -> Steps:
        """The same for frames without the further detectors for which `there` is False, as if these were not named."""
        key = tuple(there)
        if all(key):
            return self
        if key not in self._parts:
            assert isinstance(self.integrator, MergedIntegrator)
            integrator = self.integrator.only(key)
            npts = [len(axis) for axis in integrator.axes]
            find_peaks = PeakSearch(config, integrator.table(), npts, varying=bool(integrator.others))
            self._parts[key] = Steps(integrator, None, find_peaks)  # of several detectors there is no cake
        return self._parts[key]

    def with_dark(self, dark: AnyDark) -> Steps:
        """The same for frames with a dark (`Integrator.with_dark`)."""
        if isinstance(dark, MergedDark):
            assert isinstance(self.integrator, MergedIntegrator)
            merged = self.integrator.with_darks([None if part is None else part.image for part in dark.parts])
            table = merged.table()
            return Steps(merged, None, self.find_peaks if table is None else self.find_peaks.with_dark(table))
        assert not isinstance(self.integrator, MergedIntegrator)
        integrator, find_peaks = self.integrator.with_dark(dark.image), self.find_peaks
        if isinstance(integrator, TableIntegrator):
            find_peaks = find_peaks.with_dark(integrator.table)
        return Steps(integrator, None if self.cake is None else self.cake.with_dark(dark.image), find_peaks)

    @property
    def nbytes(self) -> int:
        """Memory of the tables."""
        return sum(each.nbytes for each in self._tables())

    def nbytes_beside(self, other: Steps) -> int:
        """Memory of the tables that it does not share with `other`."""
        return sum(mine.nbytes_beside(theirs) for mine, theirs in zip(self._tables(), other._tables(), strict=True))

    def _tables(self) -> list[Arrays]:
        tables: list[Arrays] = []
        if isinstance(self.integrator, TableIntegrator):
            tables += self.integrator.tables
        if isinstance(self.integrator, MergedIntegrator):
            tables += [each.table for each in self.integrator.prepared]
        return tables if self.cake is None else [*tables, self.cake.prepared.table]

"""The reducers of the geometries that were there last."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Hashable, Mapping

from numpy.typing import NDArray

from ..reduction.moved import Moved
from ..reduction.reducer import Reducer

logger = logging.getLogger(__name__)

MOST_REDUCERS = 64
MOST_BYTES = 512 * 1024**2
# So many tables for one detector are more than motors that stand still would tell of.
MANY = 20


class MovedReducers:
    """Keeps the reducers of a geometry that moves, as many as there is room for, those used last.

    A detector that goes to and fro finds its tables again. On disk none is kept: a scan of a thousand distances would
    take all the room there is, of tables that are not used again.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Hashable, Moved], Reducer] = OrderedDict()
        self._built: Counter[Hashable] = Counter()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Memory that they take, about."""
        return sum(reducer.nbytes for reducer in self._kept.values())

    def get(self, key: Hashable, calibrated: Reducer, moved: Moved, images: Mapping[str, NDArray]) -> Reducer:
        """The reducer of a geometry, built if it is not there.

        Parameters
        ----------
        key
            What is the same for all that `calibrated` is the reducer of.
        calibrated
            That of the calibration's own geometry.
        moved, images
            As `Reducer.moved` takes them.
        """
        place = key, moved
        if place in self._kept:
            self._kept.move_to_end(place)
            return self._kept[place]
        reducer = calibrated.moved(moved, images, list(reversed(self._kept.values())))
        if reducer is calibrated:
            return reducer
        if reducer.integrator is not calibrated.integrator:
            logger.debug("a table is built for %s", moved.told())
            self._built[key] += 1
        if self._built[key] == MANY:
            what = "%d geometries had a table of their own so far: if that is jitter of a reading, set its tolerance"
            logger.info(what, MANY)
        self._kept[place] = reducer
        while len(self._kept) > MOST_REDUCERS or (len(self._kept) > 1 and self.nbytes > MOST_BYTES):
            self._kept.popitem(last=False)
        return reducer

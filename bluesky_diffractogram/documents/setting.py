"""A configuration in force, and the reducers that are built for it."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from dataclasses import dataclass

from ..config import DiffractogramConfig, alters_stream, empties_buffers
from ..reduction.geometry import Geometry
from ..reduction.reducer import Reducer, known_shape, open_geometry
from ..reduction.transformation import transformed_shape

Shape = tuple[int, int]

KEPT_REDUCERS = 4

_numbers = itertools.count(1)


@dataclass(frozen=True, eq=False, slots=True)
class Setting:
    """A configuration with its geometry.

    Attributes
    ----------
    config, geometry
        Checked against each other.
    stream_number
        The same for settings whose derived data may share a stream: same numbers, same keys.
    buffer_number
        The same for settings whose diffractograms may share a buffer.
    """

    config: DiffractogramConfig
    geometry: Geometry
    stream_number: int
    buffer_number: int

    @staticmethod
    def open(config: DiffractogramConfig, before: Setting | None = None) -> Setting:
        """Open the calibration of `config`, and see how much of `before` it leaves as it was.

        Raises
        ------
        ConfigError
            The configuration does not go with its calibration.
        """
        geometry = open_geometry(config)
        if before is None:
            number = next(_numbers)
            return Setting(config, geometry, number, number)
        # The calibration file may have been written anew under its old name.
        recalibrated = geometry.sha256 != before.geometry.sha256
        same_stream = not (recalibrated or alters_stream(before.config, config))
        same_buffers = not (recalibrated or empties_buffers(before.config, config))
        return Setting(
            config,
            before.geometry if same_stream else geometry,
            before.stream_number if same_stream else next(_numbers),
            before.buffer_number if same_buffers else next(_numbers),
        )


class Reducers:
    """The reducers of the last few settings, built when first asked for.

    Where neither calibration nor configuration says what shape frames have, the first frame does, for as long
    as the setting lasts.
    """

    def __init__(self) -> None:
        self._built: OrderedDict[tuple[int, Shape], Reducer] = OrderedDict()
        self._first_shapes: dict[int, Shape] = {}
        self._lock = threading.Lock()

    def get(self, setting: Setting, shape: Shape) -> Reducer:
        """The reducer for stored frames of `shape`, one of which is at hand.

        Raises
        ------
        FrameError, ConfigError
            As `Reducer` does.
        """
        with self._lock:
            first = self._first_shapes.setdefault(setting.stream_number, shape)
            return self._get(setting, shape, first)

    def prepare(self, setting: Setting, expected: Shape | None = None) -> None:
        """Build the reducer before the first frame comes, where its shape is known or `expected`."""
        shape = known_shape(setting.config, setting.geometry) or expected
        if shape is not None:
            with self._lock:
                self._get(setting, shape, self._first_shapes.get(setting.stream_number, shape))

    def _get(self, setting: Setting, shape: Shape, first: Shape) -> Reducer:
        key = (setting.stream_number, shape)
        if key in self._built:
            self._built.move_to_end(key)
            return self._built[key]
        geometry = setting.geometry
        if geometry.shape is None:
            geometry = geometry.for_shape(transformed_shape(first, setting.config.transformation))
        reducer = self._built[key] = Reducer(setting.config, geometry, shape)
        while len(self._built) > KEPT_REDUCERS:
            self._built.popitem(last=False)
        return reducer

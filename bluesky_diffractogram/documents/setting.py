"""A configuration in force, and the reducers that are built for it."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import ConfigError, DiffractogramConfig, alters_stream, empties_buffers
from ..reduction.corrections import read_images
from ..reduction.detectors import Detector
from ..reduction.geometry import Geometry
from ..reduction.moved import Moved
from ..reduction.opened_detectors import open_detectors
from ..reduction.opening import known_shape, open_geometry
from ..reduction.reducer import Reducer
from ..reduction.transformation import transformed_shape
from .moved_reducers import MovedReducers
from .provenance import configuration_text, provenance

Shape = tuple[int, int]

KEPT_REDUCERS = 4

_numbers = itertools.count(1)


@dataclass(frozen=True, eq=False, slots=True)
class Setting:
    """A configuration with all that it names, read once.

    Attributes
    ----------
    config, geometry
        Checked against each other.
    images
        The mask, dark and flat, as they were when the setting was opened.
    provenance
        What derived start documents say of it (`provenance.provenance`).
    stream_number
        The same for settings whose derived data may share a stream: same numbers, same keys.
    buffer_number
        The same for settings whose diffractograms may share a buffer.
    others
        The further detectors whose frames are merged with those of the first.
    """

    config: DiffractogramConfig
    geometry: Geometry
    images: Mapping[str, NDArray]
    provenance: Mapping[str, Any]
    stream_number: int
    buffer_number: int
    others: tuple[Detector, ...] = ()

    @staticmethod
    def open(config: DiffractogramConfig, before: Setting | None = None) -> Setting:
        """Read what `config` names, and see how much of `before` it leaves as it was.

        Raises
        ------
        ConfigError
            The configuration does not go with its calibration, a file cannot be read or written, or there is no
            room for its buffers.
        """
        _check_room(config)
        images = read_images(config)
        geometry = open_geometry(config, images)
        others = open_detectors(config, geometry)
        described = provenance(config, geometry, images, others)
        if before is None:
            number = next(_numbers)
            return Setting(config, geometry, images, described, number, number, others)
        # A calibration or a mask may have been written anew under its old name.
        rewritten = _digests(described) != _digests(before.provenance)
        same_stream = not (rewritten or alters_stream(before.config, config))
        same_buffers = not (rewritten or empties_buffers(before.config, config))
        return Setting(
            config,
            before.geometry if same_stream else geometry,
            before.images if same_stream else images,
            described,
            before.stream_number if same_stream else next(_numbers),
            before.buffer_number if same_buffers else next(_numbers),
            before.others if same_stream else others,
        )

    def of(self, detector: Detector) -> Setting:
        """This setting for the frames of a further detector, as if it was the only one."""
        config, geometry, images = detector.config, detector.geometry, detector.images
        return replace(self, config=config, geometry=geometry, images=images, others=())

    def switched(self, **switches: bool) -> Setting:
        """This setting with ``show_diff`` or ``collect`` switched, which neither reads a file nor alters a number."""
        config = self.config.model_copy(update=switches)
        described = {**self.provenance, "configuration": configuration_text(config, self.provenance)}
        return replace(self, config=config, provenance=described)


def _check_room(config: DiffractogramConfig) -> None:
    """Refuse buffers that this machine will not give, before anything depends on them."""
    bins = sum(config.npts)
    try:
        np.empty((config.buffer_size, bins))  # given back at once, and never written to
    except (MemoryError, ValueError) as error:
        allowed = f"as many rows of {bins} bins as there is memory for"
        raise ConfigError("buffer_size", config.buffer_size, allowed, str(error)) from None


def _digests(described: Mapping[str, Any]) -> tuple[Any, ...]:
    arrays = described["arrays"]
    merged = (each["sha256"] for each in described.get("merge", ()))
    return described["calibration"]["sha256"], *merged, *((key, arrays[key]["sha256"]) for key in sorted(arrays))


class Reducers:
    """The reducers of the last few settings, built when first asked for.

    Attributes
    ----------
    moved
        Those of the geometries that frames had which were not the calibration's.
    """

    def __init__(self) -> None:
        self._built: OrderedDict[tuple[int, Shape, Shape], Reducer] = OrderedDict()
        self.moved = MovedReducers()
        self._lock = threading.Lock()

    def get(self, setting: Setting, shape: Shape, first: Shape | None = None) -> Reducer:
        """The reducer for stored frames of `shape`.

        Parameters
        ----------
        setting, shape
            For what.
        first
            The shape of the run's first frames: that is the detector's, where neither calibration nor
            configuration says it.

        Raises
        ------
        FrameError, ConfigError
            As `Reducer` does.
        """
        key = (setting.stream_number, shape, first or shape)
        with self._lock:
            if key in self._built:
                self._built.move_to_end(key)
                return self._built[key]
            geometry = setting.geometry
            if geometry.shape is None:
                geometry = geometry.for_shape(transformed_shape(first or shape, setting.config.transformation))
            # The one used last is the likeliest to have ranges in common with this one.
            earlier = list(reversed(self._built.values()))
            reducer = self._built[key] = Reducer(
                setting.config, geometry, shape, setting.images, earlier, setting.others
            )
            while len(self._built) > KEPT_REDUCERS:
                self._built.popitem(last=False)
            return reducer

    def at(self, setting: Setting, shape: Shape, moved: Moved | None, first: Shape | None = None) -> Reducer:
        """The reducer for frames of which something is told of their geometry; of the others as `get`.

        Parameters
        ----------
        setting, shape, first
            As for `get`, and so is what is raised.
        moved
            What is told; None for nothing.
        """
        calibrated = self.get(setting, shape, first)
        if moved is None:
            return calibrated
        with self._lock:
            return self.moved.get((setting.stream_number, shape, first or shape), calibrated, moved, setting.images)

    def prepare(self, setting: Setting, expected: Shape | None = None) -> None:
        """Build the reducer before the first frame comes, where its shape is known or `expected`."""
        shape = known_shape(setting.config, setting.geometry, setting.images) or expected
        if shape is not None:
            self.get(setting, shape)

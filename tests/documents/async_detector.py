"""ophyd-async detectors whose frames are all unlike each other, and plans that take them."""

from __future__ import annotations

import asyncio

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import h5py
import numpy as np
import tifffile
from ophyd_async.core import (
    DetectorAcquireLogic,
    DetectorDataLogic,
    DetectorTriggerLogic,
    StandardDetector,
    StreamResourceDataProvider,
    StreamResourceInfo,
    TriggerInfo,
    soft_signal_r_and_setter,
)
from ophyd_async.sim import PatternGenerator, SimBlobDetector

from .conftest import SHAPE, image

DATASET = "/entry/data/data"
FRAME_S = 0.01


async def pace(number):
    """Awaited before each frame: by default they come every 10 ms."""
    await asyncio.sleep(FRAME_S)


class Camera(DetectorAcquireLogic):
    """Takes frames and writes them; the series goes on from scan to scan.

    Parameters
    ----------
    kind
        ``"swmr"`` and ``"plain"`` write HDF5, ``"tiff"`` a file for each frame.
    """

    def __init__(self, kind: str) -> None:
        self.kind, self.pace = kind, pace
        self.taken = self.count = self.number = 0
        self.file = self.data = None
        self.task: asyncio.Task | None = None
        self.written, self._set_written = soft_signal_r_and_setter(int)

    async def start_acquiring(self):
        self.task = asyncio.create_task(self._acquire())

    async def wait_for_idle(self):
        if self.task is not None:
            await self.task

    async def ensure_stopped(self):
        if self.task is not None:
            self.task.cancel()
        self.task = None

    def open(self, path_info):
        self.count = 0
        self._set_written(0)
        if self.kind == "tiff":
            template = path_info.filename + "_{:06d}.tiff"
            self.file = path_info.directory_path / template
            return path_info.directory_uri, "multipart/related;type=image/tiff", {"template": template}
        path = path_info.directory_path / f"{path_info.filename}.h5"
        self.file = h5py.File(path, "w", libver="latest" if self.kind == "swmr" else None)
        self.data = self.file.create_dataset(DATASET, (0, *SHAPE), "u2", maxshape=(None, *SHAPE), chunks=(1, *SHAPE))
        if self.kind == "swmr":
            self.file.swmr_mode = True
        return f"{path_info.directory_uri}{path_info.filename}.h5", "application/x-hdf5", {"dataset": DATASET}

    def close(self):
        if isinstance(self.file, h5py.File):
            self.file.close()
        self.file = None

    async def _acquire(self):
        for number in range(self.number):
            await self.pace(number)
            frame, self.taken = image(self.taken), self.taken + 1
            if self.kind == "tiff":
                tifffile.imwrite(str(self.file).format(self.count), frame, photometric="minisblack")
            else:
                self.data.resize(self.count + 1, axis=0)
                self.data[self.count] = frame
                self.data.flush()
            self.count += 1
            self._set_written(self.count)


class _Trigger(DetectorTriggerLogic):
    def __init__(self, camera):
        self.camera = camera

    async def prepare_internal(self, num, livetime, deadtime):
        self.camera.number = num


class _Writer(DetectorDataLogic):
    def __init__(self, camera, path_provider):
        self.camera, self.path_provider = camera, path_provider

    async def prepare_unbounded(self, datakey_name):
        uri, mimetype, parameters = self.camera.open(self.path_provider(datakey_name))
        frames = StreamResourceInfo(
            data_key=datakey_name, shape=SHAPE, chunk_shape=(1, *SHAPE), dtype_numpy="<u2", parameters=parameters
        )
        return StreamResourceDataProvider(
            uri=uri, mimetype=mimetype, collections_written_signal=self.camera.written, resources=[frames]
        )

    async def stop(self):
        self.camera.close()

    def get_hinted_fields(self, datakey_name):
        return [datakey_name]


class NumberedDetector(StandardDetector):
    """Its frames are `image` 0, 1, 2, …"""

    def __init__(self, path_provider, kind: str, name: str = "") -> None:
        self.camera = Camera(kind)
        self.add_detector_logics(self.camera, _Trigger(self.camera), _Writer(self.camera, path_provider))
        super().__init__(name=name)


class Blobs(PatternGenerator):
    """ophyd-async's blob, with another intensity in each frame."""

    def __init__(self) -> None:
        self.pace, self.taken = pace, 0
        super().__init__(sleep=self._turn)
        self.setup_acquisition_parameters(exposure=1.0, period=FRAME_S, number_of_frames=1)

    async def _turn(self, _):
        await self.pace(self.taken)
        self.taken += 1
        self.set_x(np.arcsin(-1 + 0.02 * (self.taken % 100)))


def blob_detector(path_provider, name: str = "") -> SimBlobDetector:
    return SimBlobDetector(path_provider, Blobs(), name=name)


def staged(*detectors):
    """Decorates a plan that emits one run of these detectors, whatever happens in it."""
    return lambda plan: bpp.stage_decorator(detectors)(bpp.run_decorator()(plan))


def step(detector, points, *, frames):
    """Points with several frames each."""

    @staged(detector)
    def inner():
        yield from bps.prepare(detector, TriggerInfo(collections_per_event=frames), wait=True)
        for _ in range(points):
            yield from bps.trigger_and_read([detector])

    return inner()


def fly(*detectors, events, frames=1, flush=0.02):
    """All frames in one go, told of as they come."""

    @staged(*detectors)
    def inner():
        for detector in detectors:
            info = TriggerInfo(number_of_events=events, collections_per_event=frames)
            yield from bps.prepare(detector, info, wait=True)
        yield from bps.declare_stream(*detectors, name="primary", collect=True)
        for detector in detectors:
            yield from bps.kickoff(detector, wait=True)
        yield from bps.collect_while_completing(detectors, detectors, flush_period=flush, stream_name="primary")

    return inner()

"""The simulated detector as ophyd sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ophyd import Component, Device, DeviceStatus, Kind, Signal

from .frames import PowderFrames


class ImageSignal(Signal):
    """A signal that holds an image."""

    def describe(self) -> dict[str, Any]:
        """The image's data key, with the dtype and shape that ophyd's own leaves out or guesses."""
        image = self.get()
        return {self.name: _data_key(self.name, "array", image.dtype.str, list(image.shape))}


class CountsSignal(Signal):
    """A signal that holds a number of counts."""

    def describe(self) -> dict[str, Any]:
        """The number's data key."""
        return {self.name: _data_key(self.name, "integer", "<i8", [])}


def _data_key(name: str, dtype: str, dtype_numpy: str, shape: list[int]) -> dict[str, Any]:
    return {
        "source": f"SIM:{name}",
        "dtype": dtype,
        "dtype_numpy": dtype_numpy,
        "shape": shape,
        "units": "counts",
    }


class SimulatedPowderDetector(Device):
    """An area detector that looks at a powder sample in a furnace.

    A trigger computes the image of the sample as it is then and puts it into `image`. The exposure is not
    waited for. Frames are numbered from 1 when the detector is staged, so that a repeated scan gives the
    same images.

    Parameters
    ----------
    name
        As of any ophyd device.
    frames
        What makes the images.
    temperature
        Says the sample's temperature in K.
    calibration
        Path of the calibration file, kept in the descriptors.
    acquire_time
        Exposure in s, which scales the counts.
    """

    image = Component(ImageSignal, value=np.zeros((1, 1), dtype=np.int32), kind=Kind.normal)
    total = Component(CountsSignal, value=0, kind=Kind.hinted)
    acquire_time = Component(Signal, value=1.0, kind=Kind.config)
    calibration = Component(Signal, value="", kind=Kind.config)

    def __init__(
        self,
        name: str,
        *,
        frames: PowderFrames,
        temperature: Callable[[], float],
        calibration: str = "",
        acquire_time: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.frames = frames
        self._temperature = temperature
        self._number = 0
        self.image.put(np.zeros(frames.shape, dtype=np.int32))
        self.acquire_time.put(acquire_time)
        self.calibration.put(calibration)

    def stage(self) -> list[Any]:
        """Prepare for a scan: frames are numbered from 1 again."""
        self._number = 0
        return super().stage()

    def trigger(self) -> DeviceStatus:
        """Take one image, in a thread of its own as it takes some tens of milliseconds.

        Returns
        -------
        ophyd.DeviceStatus
            Done when `image` and `total` hold the new frame.
        """
        self._number += 1
        status = DeviceStatus(self)
        seen = self._number, float(self._temperature()), float(self.acquire_time.get())
        threading.Thread(target=self._expose, args=(status, *seen), daemon=True).start()
        return status

    def _expose(self, status: DeviceStatus, number: int, temperature: float, exposure: float) -> None:
        try:
            image = self.frames.frame(number, temperature, exposure)
            self._show(image)
        except Exception as error:
            status.set_exception(error)
        else:
            status.set_finished()

    def _show(self, image: NDArray[np.int32]) -> None:
        self.image.put(image)
        self.total.put(int(image[image > 0].sum(dtype=np.int64)))

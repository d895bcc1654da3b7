"""An areaDetector in little: cam1:, image1:, HDF1: and TIFF1: over Channel Access, writing real files.

Run as a program it serves until it is stopped::

    python area_detector_ioc.py PREFIX PARENT_PID

It does what ophyd's `SimDetector` and file plugins rely on, as areaDetector does it: the file plugins name their files
from ``FilePath``, ``FileName``, ``FileNumber`` and ``FileTemplate``; in ``Stream`` mode one HDF5 file is opened by
``Capture`` 1, grows frame by frame, and is closed by ``Capture`` 0; in ``Single`` mode every frame is a file. Every
other name is an integer that keeps what is put to it. ``NAME_RBV`` is ``NAME``, as nothing here takes time to obey.

What areaDetector leaves to the environment is here ``HDF1:FileLocking``: many beamlines switch HDF5's locks off.
For tests of faults, ``Fault`` is ``"no files"`` (frames are taken and never written) or ``"slow"`` (the last frame of
an acquisition is written 0.3 s after the acquisition has ended; the file may be closed by then).
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile
from caproto import ChannelChar, ChannelData, ChannelDouble, ChannelEnum, ChannelInteger, ChannelString
from caproto.server import run
from numpy.typing import NDArray

SHAPE = (200, 220)
EXPOSURE_S = 0.05
SLOW_S = 0.3
DATA_TYPES = ["Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32"]

# EPICS' REPEATER_CONFIRM for 127.0.0.1
CONFIRM = struct.pack(">4H2I", 17, 0, 0, 0, 0, 0x7F000001)

OnPut = Callable[[Any], Awaitable[Any]]


def frame(number: int, dtype: str = "uint16") -> NDArray:
    """``(200, 220)`` counts with three rings, the `number`-th of a series that drifts outwards, no two alike."""
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    radius = np.hypot(y - 101.5, x - 108.0)
    expected = 30.0 + 2.0 * (number % 50)
    for middle, height in ((25.0, 300.0), (48.0, 900.0), (80.0, 500.0)):
        expected = expected + height * np.exp(-(((radius - middle - 0.1 * number) / 1.5) ** 2))
    return np.random.default_rng(number).poisson(expected).astype(dtype)


class _Obeying:
    """A channel that does something when it is put to, which may alter the value."""

    on_put: OnPut | None = None

    async def verify_value(self, data):
        data = await super().verify_value(data)
        return data if self.on_put is None else await self.on_put(data)


class Integer(_Obeying, ChannelInteger): ...


class Enum(_Obeying, ChannelEnum): ...


class Text(_Obeying, ChannelChar): ...


class Channels(dict):
    """Channels by name; those that nothing was said of are made when somebody asks for them."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.startswith(self._prefix)

    def __missing__(self, name: str) -> ChannelData:
        if name not in self:
            raise KeyError(name)
        plain = name.removesuffix("_RBV")
        channel = self[name] = ChannelInteger(value=0) if plain == name else self[plain]
        return channel


class Part:
    """A cam or a plugin: channels under one prefix."""

    def __init__(self, channels: Channels, prefix: str, port: str) -> None:
        self._channels, self._prefix = channels, prefix
        self.add("PortName", ChannelString(value=port))

    def add(self, name: str, channel: ChannelData, on_put: OnPut | None = None) -> None:
        if on_put is not None:
            channel.on_put = on_put
        self._channels[self._prefix + name] = channel

    def switch(self, name: str, *choices: str, value: int = 0) -> None:
        self.add(name, Enum(value=choices[value], enum_strings=list(choices)))

    def __getitem__(self, name: str) -> Any:
        value = self._channels[self._prefix + name].value
        return value.decode() if isinstance(value, bytes) else value

    async def show(self, name: str, value: Any) -> None:
        """Write a value without obeying it."""
        await self._channels[self._prefix + name].write(value, verify_value=False)


class Plugin(Part):
    """What all plugins have; one that takes frames and does nothing."""

    def __init__(self, channels: Channels, prefix: str, kind: str, port: str) -> None:
        super().__init__(channels, prefix, port)
        self.add("PluginType_RBV", ChannelString(value=kind))
        self.add("NDArrayPort", ChannelString(value="SIM1"))
        self.switch("EnableCallbacks", "Disable", "Enable")
        self.switch("BlockingCallbacks", "No", "Yes")
        # As after a first acquisition: ophyd refuses to stage a plugin that never saw a frame.
        for axis, size in enumerate(SHAPE[::-1]):
            self.add(f"ArraySize{axis}_RBV", ChannelInteger(value=size))

    async def take(self, image: NDArray) -> None:
        await self.show("ArrayCounter", self["ArrayCounter"] + 1)


class FilePlugin(Plugin):
    """Names files as NDPluginFile does."""

    def __init__(self, channels: Channels, prefix: str, kind: str, port: str) -> None:
        super().__init__(channels, prefix, kind, port)
        self.add("FilePath", Text(value="/", max_length=256), self._enter)
        for name, value in (("FileName", "test"), ("FileTemplate", "%s%s_%d.dat"), ("FullFileName_RBV", "none")):
            self.add(name, Text(value=value, max_length=256))
        self.switch("AutoIncrement", "No", "Yes")
        self.switch("AutoSave", "No", "Yes")
        self.switch("FileWriteMode", "Single", "Capture", "Stream")

    async def _enter(self, folder: str) -> str:
        if self["CreateDirectory"] != 0:
            Path(folder).mkdir(parents=True, exist_ok=True)
        await self.show("FilePathExists_RBV", int(Path(folder).is_dir()))
        return os.path.join(folder, "")

    async def next_file(self) -> str:
        number = self["FileNumber"]
        path = self["FileTemplate"] % (self["FilePath"], self["FileName"], number)
        if self["AutoIncrement"] == "Yes":
            await self.show("FileNumber", number + 1)
        await self.show("FullFileName_RBV", path)
        return path


class Tiff(FilePlugin):
    """One file for each frame."""

    async def take(self, image: NDArray) -> None:
        await super().take(image)
        if self["AutoSave"] == "Yes":
            tifffile.imwrite(await self.next_file(), image)


class Hdf5(FilePlugin):
    """One file from ``Capture`` 1 to ``Capture`` 0, for readers at the same time too where ``SWMRMode`` is on."""

    def __init__(self, channels: Channels, prefix: str, kind: str, port: str) -> None:
        super().__init__(channels, prefix, kind, port)
        self.switch("SWMRMode", "Off", "On")
        self.add("Capture", Integer(value=0), self._capture)
        self.switch("FileLocking", "No", "Yes", value=1)
        self.fault = lambda: "none"
        self._path = ""
        self._file: h5py.File | None = None
        self._data: h5py.Dataset | None = None

    async def _capture(self, on: int) -> int:
        self._close()
        if on:
            self._path = await self.next_file()
            await self.show("NumCaptured_RBV", 0)
        return on

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._data = None

    def _open(self, image: NDArray) -> h5py.Dataset:
        swmr = self["SWMRMode"] == "On"
        locking = self["FileLocking"] == "Yes"
        self._file = h5py.File(self._path, "w", libver="latest" if swmr else None, locking=locking)
        data = self._file.create_dataset(
            "entry/instrument/detector/data", shape=(0, *image.shape), maxshape=(None, *image.shape),
            chunks=(1, *image.shape), dtype=image.dtype,
        )  # fmt: skip
        self._file["entry/data/data"] = data
        if swmr:
            self._file.swmr_mode = True
        return data

    async def take(self, image: NDArray) -> None:
        await super().take(image)
        if not self["Capture"] or self.fault() == "no files":
            return
        if self._data is None:
            self._data = self._open(image)
        n = len(self._data)
        self._data.resize(n + 1, axis=0)
        self._data[n] = image
        await self.show("NumCaptured_RBV", n + 1)
        every = self["NumFramesFlush"] or (1 if self["SWMRMode"] == "On" else 0)
        if every and (n + 1) % every == 0:
            self._data.flush()
            self._file.flush()


class Cam(Part):
    """Takes frames when told to, and gives them to the plugins."""

    def __init__(self, channels: Channels, prefix: str, plugins: list[Plugin]) -> None:
        super().__init__(channels, prefix, "SIM1")
        self.plugins = plugins
        self.fault = lambda: "none"
        self.add("Manufacturer_RBV", ChannelString(value="tests"))
        self.add("Model_RBV", ChannelString(value="rings"))
        self.switch("ImageMode", "Single", "Multiple", "Continuous")
        self.switch("DataType", *DATA_TYPES, value=DATA_TYPES.index("UInt16"))
        self.add("AcquireTime", ChannelDouble(value=EXPOSURE_S))
        self.add("AcquirePeriod", ChannelDouble(value=EXPOSURE_S))
        self.add("NumImages", ChannelInteger(value=1))
        self.add("ArraySizeX_RBV", ChannelInteger(value=SHAPE[1]))
        self.add("ArraySizeY_RBV", ChannelInteger(value=SHAPE[0]))
        self.add("Acquire", Integer(value=0), self._acquire)
        self._acquiring: asyncio.Task | None = None

    async def _acquire(self, on: int) -> int:
        if on and self._acquiring is None:
            self._acquiring = asyncio.create_task(self._take_frames())
        elif not on and self._acquiring is not None:
            self._acquiring.cancel()
        return on

    async def _take_frames(self) -> None:
        try:
            await self._frames(1 if self["ImageMode"] == "Single" else self["NumImages"])
        finally:
            self._acquiring = None
            await self.show("Acquire", 0)

    async def _frames(self, n: int) -> None:
        for left in reversed(range(n)):
            await asyncio.sleep(self["AcquireTime"])
            number = self["ArrayCounter"]
            image = frame(number, self["DataType"].lower())
            if left == 0 and self.fault() == "slow":
                asyncio.get_running_loop().create_task(self._hand_on(image, SLOW_S))
            else:
                await self._hand_on(image)
            await self.show("ArrayCounter", number + 1)

    async def _hand_on(self, image: NDArray, delay: float = 0.0) -> None:
        await asyncio.sleep(delay)
        for plugin in self.plugins:
            if plugin["EnableCallbacks"] == "Enable":
                await plugin.take(image)


class Repeater(asyncio.DatagramProtocol):
    """Tells clients that they have a caRepeater, so that none is started, which would outlive the tests."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        if data[:2] == b"\x00\x18":  # REPEATER_REGISTER; servers send their beacons here too
            self._transport.sendto(CONFIRM, client)


async def _end_with(parent: int) -> None:
    """A test session that was killed leaves no server behind."""
    while os.getppid() == parent:
        await asyncio.sleep(0.5)
    os._exit(0)


def main(prefix: str, parent: int) -> None:
    channels = Channels(prefix)
    image = Plugin(channels, f"{prefix}image1:", "NDPluginStdArrays", "IMAGE1")
    hdf = Hdf5(channels, f"{prefix}HDF1:", "NDFileHDF5", "FileHDF1")
    tiff = Tiff(channels, f"{prefix}TIFF1:", "NDFileTIFF", "FileTIFF1")
    cam = Cam(channels, f"{prefix}cam1:", [image, hdf, tiff])
    fault = channels[f"{prefix}Fault"] = ChannelEnum(value="none", enum_strings=["none", "no files", "slow"])
    hdf.fault = cam.fault = lambda: fault.value

    repeater = socket.socket(type=socket.SOCK_DGRAM)
    repeater.bind(("127.0.0.1", int(os.environ["EPICS_CA_REPEATER_PORT"])))

    async def started(_) -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(Repeater, sock=repeater)
        started.task = asyncio.create_task(_end_with(parent))
        print("serving", flush=True)

    run(channels, interfaces=["127.0.0.1"], startup_hook=started)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

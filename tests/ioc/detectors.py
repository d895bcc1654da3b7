"""ophyd's own areaDetector classes, put together as beamlines do."""

from __future__ import annotations

from ophyd import Component, EpicsSignal, SimDetector, SingleTrigger
from ophyd.areadetector.filestore_mixins import FileStoreHDF5IterativeWrite, FileStoreTIFFIterativeWrite
from ophyd.areadetector.plugins import HDF5Plugin_V34, ImagePlugin_V34, TIFFPlugin_V34


class Hdf5(HDF5Plugin_V34, FileStoreHDF5IterativeWrite):
    file_locking = Component(EpicsSignal, "FileLocking", string=True, kind="omitted")


class Hdf5Unlocked(Hdf5):
    """As where HDF5_USE_FILE_LOCKING is FALSE for the server."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.stage_sigs["file_locking"] = "No"
        self.stage_sigs.move_to_end("capture")


class Hdf5Swmr(Hdf5):
    """Readable while it is written; ophyd has no class for that, beamlines write this one."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.filestore_spec = "AD_HDF5_SWMR"
        self.stage_sigs["swmr_mode"] = 1
        self.stage_sigs.move_to_end("capture")


class Tiff(TIFFPlugin_V34, FileStoreTIFFIterativeWrite): ...


class _Detector(SingleTrigger, SimDetector):
    image = Component(ImagePlugin_V34, "image1:")
    fault = Component(EpicsSignal, "Fault", string=True, kind="omitted")

    def _acquire_changed(self, value=None, old_value=None, **kwargs):
        """As ophyd's own, which forgets the status: its trigger gives none if the frame was quicker than itself."""
        if (old_value, value) == (1, 0) and self._status is not None and not self._status.done:
            self._status.set_finished()


def detector(prefix, folder, plugin=Hdf5, name="det"):
    """A detector whose file plugin is `plugin`, writing to `folder`."""
    suffix = "TIFF1:" if issubclass(plugin, Tiff) else "HDF1:"

    class Detector(_Detector):
        files = Component(plugin, suffix, root=str(folder), write_path_template=str(folder / "%Y"))

    made = Detector(prefix, name=name)
    made.read_attrs, made.files.read_attrs = ["files"], []
    made.wait_for_connection()
    made.files.create_directory.set(-3).wait(10)
    return made

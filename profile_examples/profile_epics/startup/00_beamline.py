"""A beamline with a real areaDetector and its HDF5 plugin: ``ipython --profile-dir profile_examples/profile_epics``.

Set the three variables of the environment, or write your own values here.
"""

import os

from bluesky import RunEngine
from bluesky.plans import count, scan  # noqa: F401  (for the prompt, as are the plans below)
from ophyd import Component, SimDetector, SingleTrigger
from ophyd.areadetector.filestore_mixins import FileStoreHDF5IterativeWrite
from ophyd.areadetector.plugins import HDF5Plugin_V34

from bluesky_diffractogram import (  # noqa: F401
    DiffractogramCallback,
    DiffractogramDevice,
    KeepWindowsAlive,
    reduced_one_nd_step,
    reduced_one_shot,
    scan_until_peak,
)

PREFIX = os.environ.get("DETECTOR_PREFIX", "13SIM1:")  # of its channels
FOLDER = os.environ.get("DETECTOR_FOLDER", "/tmp")  # where it writes, as both it and we see it
CONFIG = os.environ.get("DIFFRACTOGRAM_CONFIG", "diffractogram.json")  # at least {"calibration": "lab6.poni"}


class HDF5(HDF5Plugin_V34, FileStoreHDF5IterativeWrite):
    """Writes files that can be read while they are written (SWMR): a scan can be steered by its images.

    Without that frames are reduced when the detector is unstaged, and plans that wait for them are refused.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.filestore_spec = "AD_HDF5_SWMR"
        self.stage_sigs["swmr_mode"] = 1
        self.stage_sigs["num_frames_flush"] = 1
        self.stage_sigs.move_to_end("capture")


class Detector(SingleTrigger, SimDetector):  # SimDetector: put your detector's class here
    hdf5 = Component(HDF5, "HDF1:", root=FOLDER, write_path_template=f"{FOLDER}/%Y/%m/%d")


detector = Detector(PREFIX, name="detector")
detector.wait_for_connection()
detector.read_attrs, detector.hdf5.read_attrs = ["hdf5"], []
detector.hdf5.create_directory.set(-4).wait(10)

RE = RunEngine({}, during_task=KeepWindowsAlive())
diff = DiffractogramCallback(CONFIG)
RE.subscribe(diff)
diffractogram = DiffractogramDevice("diffractogram", callback=diff)

print(
    "Type   RE(count([detector], 5))   then   diff.results['peaks_1'], or, to have results and shots side by side,\n"
    "       RE(count([detector, diffractogram], 5, per_shot=reduced_one_shot))."
)

"""A beamline with an ophyd-async detector: ``ipython --profile-dir profile_examples/profile_async``.

The simulated detector sees a blob. Replace it by your own, and the configuration by yours; the rest stays.
"""

import tempfile
from pathlib import Path

from bluesky import RunEngine
from bluesky.plans import count, scan  # noqa: F401  (for the prompt, as are the plans below)
from ophyd_async.core import StaticPathProvider, UUIDFilenameProvider, init_devices
from ophyd_async.sim import PatternGenerator, SimBlobDetector, SimMotor

from bluesky_diffractogram import (  # noqa: F401
    DiffractogramCallback,
    DiffractogramDevice,
    KeepWindowsAlive,
    reduced_one_nd_step,
    reduced_one_shot,
    scan_until_peak,
)

FOLDER = Path(tempfile.mkdtemp(prefix="diffractogram-"))
(FOLDER / "blob.poni").write_text(
    'poni_version: 2.1\nDetector: Detector\nDetector_config: {"pixel1": 4e-4, "pixel2": 4e-4, "orientation": 3}\n'
    "Distance: 0.2\nPoni1: 0.048\nPoni2: 0.064\nRot1: 0.0\nRot2: 0.0\nRot3: 0.0\nWavelength: 1e-10\n"
)

RE = RunEngine({}, during_task=KeepWindowsAlive())  # before the devices: they live in its event loop
with init_devices():
    detector = SimBlobDetector(StaticPathProvider(UUIDFilenameProvider(), FOLDER), PatternGenerator())
    stage = SimMotor(instant=True)

diff = DiffractogramCallback({"calibration": str(FOLDER / "blob.poni"), "diff_ranges": [[0, 90, 1, 15]], "npt": 200})
RE.subscribe(diff)
# An ophyd device in plans with ophyd-async ones: bluesky does not mind.
diffractogram = DiffractogramDevice("diffractogram", callback=diff)

print(
    "Type   RE(count([detector], 5))   then   diff.results['diff_1'], or, to have results and shots side by side,\n"
    "       RE(count([detector, diffractogram], 5, per_shot=reduced_one_shot))."
)

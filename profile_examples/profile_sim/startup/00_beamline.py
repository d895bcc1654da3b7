"""A beamline to try: ``ipython --profile-dir profile_examples/profile_sim``.

Replace the simulated devices by your own, and the configuration by yours; the rest stays.
"""

import tempfile

from bluesky import RunEngine
from bluesky.plans import count, scan  # noqa: F401  (for the prompt, as are the plans below)

from bluesky_diffractogram import (  # noqa: F401
    DiffractogramCallback,
    DiffractogramDevice,
    KeepWindowsAlive,
    calibrated_count,
    configure_diffractogram,
    readback_hints,
    reduced_one_nd_step,
    scan_until_peak,
    track_peak,
)
from bluesky_diffractogram.sim.beamline import simulated_beamline
from bluesky_diffractogram.sim.scan import heating_scan  # noqa: F401

beamline = simulated_beamline(tempfile.mkdtemp(prefix="diffractogram-"))
detector, furnace = beamline.detector, beamline.furnace

RE = RunEngine({}, during_task=KeepWindowsAlive())  # whatever toolkit matplotlib has
diff = DiffractogramCallback(beamline.configuration)  # a window opens where there is a display
RE.subscribe(diff)
diffractogram = DiffractogramDevice("diffractogram", callback=diff)  # settings and results as ophyd signals
bcc_iron = {"range_number": 2, "peak": 8.67, "tolerance": 0.12}  # its (110) line, in degrees; gone at about 1185 K

try:  # catalogues in memory, one for the scans and one for what came of them
    from databroker import temp

    db, analysed = temp().v1, temp().v1
    RE.subscribe(db.insert)
    diff.subscribe(analysed.insert, own_thread=True)
except ImportError:  # pip install 'bluesky-diffractogram[databroker]'
    db = analysed = None

with_databroker = (lambda line: line) if db is not None else (lambda line: "")
print(
    "Type   RE(heating_scan(detector, furnace, 300, 1500, 30))   or   RE(count([detector], 5))\n"
    "then   diff.wait()\n"
    "       diff.results['peaks_1']\n"
    "       diff.buffers[0].to_xarray()\n"
    + with_databroker("       analysed[-1].table('diffractogram')\n")
    + "       RE(scan([detector, diffractogram], furnace, 300, 900, 7, per_step=reduced_one_nd_step))\n"
    "       RE(scan_until_peak([detector], furnace, 900, 1500, 50, diffractogram, until='vanishes', **bcc_iron))\n"
    + with_databroker("       db[-1].stop['reason']\n")
    + "       RE(configure_diffractogram(diffractogram, {'diff_units': 'q [1/A]'}))"
)

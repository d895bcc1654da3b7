"""A beamline to try: ``ipython --profile-dir profile_examples/profile_sim``.

Replace the simulated devices by your own, and the configuration by yours; the rest stays.
"""

import tempfile

from bluesky import RunEngine
from bluesky.plans import count, scan  # noqa: F401  (for the prompt)

from bluesky_diffractogram import DiffractogramCallback, KeepWindowsAlive
from bluesky_diffractogram.sim.beamline import simulated_beamline
from bluesky_diffractogram.sim.scan import heating_scan  # noqa: F401  (for the prompt)

beamline = simulated_beamline(tempfile.mkdtemp(prefix="diffractogram-"))
detector, furnace = beamline.detector, beamline.furnace

RE = RunEngine({}, during_task=KeepWindowsAlive())  # whatever toolkit matplotlib has
diff = DiffractogramCallback(beamline.configuration)  # a window opens where there is a display
RE.subscribe(diff)

print(
    "Type   RE(heating_scan(detector, furnace, 300, 1500, 30))   or   RE(count([detector], 5)),\n"
    "then   diff.results['peaks_1']   diff.buffers[0].to_xarray()   diff.configure({'diff_units': 'q [1/A]'})"
)

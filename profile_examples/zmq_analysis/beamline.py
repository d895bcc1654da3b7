"""What the beamline's profile needs for ``analysis.py``: its documents are published, and nothing is reduced here."""

from bluesky import RunEngine
from bluesky.callbacks.zmq import Publisher
from wire import pack

FROM_SCANS = "127.0.0.1:5577"  # where analysis.py listens


def engine(address=FROM_SCANS):
    """A RunEngine that publishes its documents."""
    RE = RunEngine({})
    RE.subscribe(Publisher(address, serializer=pack))
    return RE

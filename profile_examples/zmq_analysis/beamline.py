"""What the beamline's profile needs for ``analysis.py``: its documents are published, and nothing is reduced here."""

from bluesky import RunEngine
from bluesky.callbacks.zmq import Publisher

from bluesky_diffractogram.transport.wire import pack

FROM_SCANS = "127.0.0.1:5577"  # where analysis.py listens


def engine(address=FROM_SCANS):
    """A RunEngine that publishes its documents, and its publisher, which is to be closed at the end."""
    RE, publisher = RunEngine({}), Publisher(address, serializer=pack)
    RE.subscribe(publisher)
    return RE, publisher

"""Reduces scans in a process of its own: ``python profile_examples/zmq_analysis/analysis.py diffractogram.json``.

Start it before the scans: 0MQ does not keep what nobody has asked for. Scans publish to the first address, as in
``beamline.py``. Any number of other processes may listen at the second.
"""

import sys
import threading

from bluesky.callbacks.zmq import Proxy, RemoteDispatcher

from bluesky_diffractogram import DiffractogramCallback
from bluesky_diffractogram.transport.wire import unpack  # msgpack: unlike pickle, bluesky's default, it runs no code

FROM_SCANS, TO_LISTENERS = "127.0.0.1:5577", "127.0.0.1:5578"  # this machine only: there is no password


def main(config, from_scans=FROM_SCANS, to_listeners=TO_LISTENERS):
    diff = DiffractogramCallback(config, plot=False)
    diff.on_results(lambda results: print(results["imagename"], results.get("peaks_1"), flush=True))
    threading.Thread(target=Proxy(from_scans, to_listeners).start, daemon=True).start()
    dispatcher = RemoteDispatcher(to_listeners, deserializer=unpack)
    dispatcher.subscribe(diff)
    print("listening", flush=True)
    try:
        dispatcher.start()  # until it is interrupted
    except KeyboardInterrupt:
        diff.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Two ways to have a peak interrupt any plan, from the derived events.

`pause_on` pauses it as Ctrl+C does, for somebody to look at and to resume or stop:

    pause_on(RE, diff, lambda data: data["peak_1_height"] < 50)

`stop_on` ends it for good, with all its clean-up, and its run is a success:

    watch = Latest(diff)
    RE(stop_on(scan([detector], furnace, 300, 1500, 61), lambda: watch.data.get("n_peaks_2", 0) > 6))

In both the scan does not wait for the reduction, and may be a point or two further. `scan_until_peak` waits.
"""

from bluesky.utils import RequestStop


def pause_on(RE, diff, reached):
    """Pause `RE` at the next checkpoint when `reached(data)` is true of a derived event; once, until called again."""

    def look(name, doc):
        if name == "event" and reached(doc["data"]):
            diff.unsubscribe(token)
            RE.request_pause(defer=True)

    # A thread of its own, as the RunEngine may be waiting for the reduction's.
    token = diff.subscribe(look, own_thread=True)


class Latest:
    """Has the data of the latest derived event."""

    def __init__(self, diff):
        self.data = {}
        diff.subscribe(self)

    def __call__(self, name, doc):
        if name == "event":
            self.data = doc["data"]


def stop_on(plan, reached):
    """Stop `plan`, as RE.stop() does, at the first checkpoint at which `reached()` is true."""
    answer = error = None
    stopped = False
    while True:
        try:
            message = plan.send(answer) if error is None else plan.throw(error)
        except StopIteration as done:
            return done.value
        answer = error = None
        if message.command == "checkpoint" and not stopped and reached():
            stopped, error = True, RequestStop()
            continue
        try:
            answer = yield message
        except GeneratorExit:
            plan.close()
            raise
        except Exception as raised:
            error = raised

"""bluesky-adaptive decides where to measure next by what the images mean.

Its optimizers are asked for points (``suggest``) and told what was found there (``ingest``); here one that halves an
interval looks for the temperature at which a line is at a given angle. The outcomes are read from the derived events.
"""

from bluesky_adaptive.plans import default_acquire
from bluesky_adaptive.protocols import OptimizationProblem

from bluesky_diffractogram import wait_for_reduction


class Bisection:
    """Where `outcome`, which falls with `actuator`, is `target`: any optimizer of bluesky-adaptive goes here."""

    def __init__(self, actuator, outcome, target, low, high):
        self.actuator, self.outcome, self.target = actuator, outcome, target
        self.low, self.high = low, high
        self.points = []

    def suggest(self, num_points=None):
        return [{"_id": len(self.points), self.actuator: (self.low + self.high) / 2}]

    def ingest(self, points):
        for point in points:
            middle = (self.low + self.high) / 2
            self.points.append((middle, point[self.outcome]))
            if point[self.outcome] > self.target:
                self.low = middle
            else:
                self.high = middle

    def get_best_points(self):
        where, found = min(self.points, key=lambda point: abs(point[1] - self.target))
        return [(None, {self.actuator: where}, {self.outcome: found})]


class FromDerivedEvents:
    """The outcomes of a run, out of the run derived from it."""

    def __init__(self, diff, *names):
        self.names, self._raw_uids, self._events = names, {}, {}
        diff.subscribe(self.receive)

    def receive(self, name, doc):
        if name == "start":
            self._raw_uids[doc["uid"]] = doc["raw_uid"]
        elif name == "descriptor":
            self._raw_uids[doc["uid"]] = self._raw_uids[doc["run_start"]]
        elif name == "event":
            run = self._raw_uids[doc["descriptor"]]
            self._events.setdefault(run, {})[doc["data"]["raw_seq_num"]] = doc["data"]

    def __call__(self, uid, suggestions):
        events = self._events.pop(uid)  # a frame that could not be reduced is missed here, by a KeyError
        return [
            {"_id": suggestion["_id"], **{name: events[number][name] for name in self.names}}
            for number, suggestion in enumerate(suggestions, start=1)
        ]


def problem(diff, detector, motor, optimizer):
    """For ``RE(optimize(problem(…), iterations=10))``."""

    def acquire(suggestions, actuators, sensors=None, md=None):
        uid = yield from default_acquire(suggestions, actuators, sensors, md)
        yield from wait_for_reduction(diff)  # then the derived events are out
        return uid

    return OptimizationProblem(
        optimizer, [motor], [detector], FromDerivedEvents(diff, optimizer.outcome), acquisition_plan=acquire
    )

"""Peaks that have names are signals of the device, which come and go with the names, but not within a run."""

from __future__ import annotations

import math

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky.callbacks import LivePlot
from bluesky.callbacks.best_effort import BestEffortCallback

from bluesky_diffractogram import DiffractogramDevice, ReducedDetector
from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.devices.named_peaks import names_by_range
from bluesky_diffractogram.documents.setting import Setting
from bluesky_diffractogram.plans import readback_hints, reduced_one_nd_step, reduced_one_shot

READBACK = "diffractogram_readback"
# In range 2: (200) of bcc iron, which vanishes at 1185 K, and (200) of fcc iron, which appears there.
ALPHA = {"name": "alpha", "near": 12.3, "within": 0.2}
GAMMA = {"name": "gamma", "near": 9.75, "within": 0.1}
ALPHA_KEY = "diffractogram_peak_2_alpha_position"
FIGURES = ("position", "height", "fwhm", "area", "seen")


def track(*peaks, **others):
    return {"track": list(peaks), **others}


@pytest.fixture
def named(steered):
    steered.diff.configure({"peaks": track(ALPHA), "diff_ranges": [[10, 20, 3, 7], [-5, 5, 5, 15]]})
    return steered


def reading(device):
    return {name.removeprefix(f"{device.name}_"): each["value"] for name, each in device.read().items()}


def peaks_of(keys, device="diffractogram"):
    """Names of peaks among data keys, with their range."""
    return {
        key.removeprefix(f"{device}_peak_").removesuffix("_seen")
        for key in keys
        if key.startswith(f"{device}_peak_") and key.endswith("_seen")
    }


def described(steered):
    """The peaks of each run's descriptors, in order; what is described is what is read."""
    found = []
    for doc in steered.of("descriptor"):
        events = [each for each in steered.of("event") if each["descriptor"] == doc["uid"]]
        assert events
        assert all(set(each["data"]) == set(doc["data_keys"]) for each in events)
        found.append(peaks_of(doc["data_keys"]))
    return found


def test_there_is_a_signal_for_each_figure_of_a_peak_in_the_ranges_that_may_hold_it(named):
    signals = {name for name in named.device.component_names if "alpha" in name}
    assert signals == {f"peak_2_alpha_{figure}" for figure in FIGURES}
    read, known = named.device.read(), named.device.describe()
    assert set(read) == set(known)
    assert known["diffractogram_peak_2_alpha_area"]["units"] == "counts deg"
    assert known["diffractogram_peak_2_alpha_seen"]["dtype"] == "integer"
    assert math.isnan(named.device.peak_2_alpha_position.get())
    assert named.device.peak_2_alpha_seen.get() == 0
    assert type(named.device).__name__ == "DiffractogramDevice"
    assert isinstance(named.device, DiffractogramDevice)
    assert named.device.get()._fields[-5:] == tuple(f"peak_2_alpha_{figure}" for figure in FIGURES)


def test_its_figures_are_those_of_the_derived_run_and_fits_have_errors(named):
    named.diff.configure({"peaks": track(ALPHA, GAMMA, fit="pseudo-voigt")})
    named.run(bp.count([named.detector], 2))
    derived = named.derived_by_seq_num()[2]
    (keys,) = [doc["data_keys"] for name, doc in named.derived if name == "descriptor"]
    ours = {key for key in derived if "alpha" in key or "gamma" in key}
    assert len(ours) == 2 * 9
    got, known = reading(named.device), named.device.describe()
    for key in ours:
        np.testing.assert_equal(got[key], derived[key])
        for part in ("dtype", "dtype_numpy", "units", "shape"):
            wanted = keys[key].get(part)
            assert known[f"diffractogram_{key}"].get(part) == wanted or (part, wanted) == ("units", ""), (key, part)
    assert got["peak_2_alpha_seen"] == 1
    assert got["peak_2_alpha_position"] == pytest.approx(12.3, abs=0.2)
    assert got["peak_2_alpha_height_error"] > 0
    assert got["peak_2_gamma_seen"] == 0


def test_names_are_those_that_the_limits_of_a_range_leave(named):
    peaks = {"phases": [{"name": "ceria", "calibrant": "CeO2", "most": 12}], "auto": 2}
    for unit in ("2th [deg]", "q [1/A]", "d [A]", "r [mm]", "r [pixel]"):
        named.diff.configure({"diff_units": unit, "peaks": peaks})
        named.take(1)
        reducer = named.diff.latest.reducer
        for i, lines in enumerate(reducer.tracked, 1):
            followed, read = [line.name for line in lines], names_by_range(named.device.in_force, 2)[i]
            # A limit is half a bin beyond the centre of the last one: there may be one more.
            assert set(followed) <= set(read), unit
            assert len(read) <= len(followed) + 1, unit
    whole = load_config({**named.beamline.configuration, "diff_ranges": [None], "diff_number": 1, "peaks": peaks})
    assert len(names_by_range(Setting.open(whole), 1)[1]) == 14


def test_live_plot_and_best_effort_callback_have_a_peak_by_its_name(named, undrawn):
    named.diff.configure({"hinted": ["peak_2_alpha_position"]})
    assert named.device.hints["fields"] == [ALPHA_KEY]
    plot, best = LivePlot(ALPHA_KEY, "furnace"), BestEffortCallback()
    named.engine.subscribe(plot)
    named.engine.subscribe(best)
    named.run(
        bp.scan(
            [named.detector, named.device], named.furnace, 1100, 1200, 3,
            per_step=reduced_one_nd_step, md=readback_hints(named.furnace),
        )
    )  # fmt: skip
    assert named.values(READBACK, "diffractogram_peak_2_alpha_seen") == [1, 1, 0]
    values = named.values(READBACK, ALPHA_KEY)
    np.testing.assert_equal(list(plot.y_data), values)
    assert values[0] > values[1] > 12.2
    assert math.isnan(values[2])
    assert ALPHA_KEY in best.peaks["max"]


def test_names_come_and_go_between_runs(named):
    before = named.device.peak_2_alpha_position
    heard = []
    before.subscribe(lambda value, **_: heard.append(value), run=False)
    for peaks, names in [(track(GAMMA), {"2_gamma"}), (False, set()), (track(ALPHA, GAMMA), {"2_alpha", "2_gamma"})]:
        named.device.configure({"peaks": peaks})
        assert peaks_of(named.device.read()) == peaks_of(named.device.describe()) == names
        named.run(bp.count([named.detector, named.device], 2, per_shot=reduced_one_shot))
        assert described(named) == [set(), names]
        assert hasattr(named.device, "peak_2_alpha_position") == ("2_alpha" in names)
    assert named.device.peak_2_alpha_position is before  # those who have subscribed hear of it again
    assert heard[-1] == pytest.approx(12.3, abs=0.2)


def test_hints_go_and_come_with_the_names(named):
    named.diff.configure({"hinted": ["peak_2_alpha_position"]})
    named.diff.configure({"peaks": track(GAMMA)})
    assert named.device.hints["fields"] == []
    named.diff.configure({"peaks": track(ALPHA)})
    assert named.device.hints["fields"] == [ALPHA_KEY]
    named.diff.configure({"peaks": track(GAMMA), "hinted": None})
    named.diff.configure({"peaks": track(ALPHA)})
    assert ALPHA_KEY not in named.device.hints["fields"]


CHANGES = {"in the baseline": False, "and staged": True}


@pytest.mark.parametrize("staged", CHANGES.values(), ids=CHANGES)
def test_names_that_change_in_a_run_are_those_of_its_beginning_till_its_end(named, caplog, staged):
    """The one that is taken away is NaN, the new one is not read before the next run, which is said once."""
    read = []

    def change(_):
        named.diff.configure({"peaks": track(GAMMA)})
        named.diff.configure({"npt": 600})

    def plan():
        if staged:
            yield from bps.stage(named.device)
        yield from bps.open_run()
        for n in range(4):
            yield from bps.trigger_and_read([named.detector])
            if n == 2:
                change(n)
                yield from bps.trigger_and_read([named.detector])
            read.append((yield from bps.trigger_and_read([named.device], name=READBACK)))
        yield from bps.close_run()
        if staged:
            yield from bps.unstage(named.device)

    named.run(plan())
    assert described(named) == [set(), {"2_alpha"}]
    assert named.values(READBACK, "diffractogram_valid") == [1, 1, 1, 1]
    assert named.values(READBACK, "diffractogram_peak_2_alpha_seen") == [1, 1, 0, 0]
    assert np.isnan(named.values(READBACK, ALPHA_KEY)).tolist() == [False, False, True, True]
    (said,) = [each for each in caplog.messages if "before the next run" in each]
    assert "does not read 5 signals before the next run: peak_2_gamma_area, " in said
    assert named.diff.wait(20)
    assert peaks_of(named.device.describe()) == {"2_gamma"}
    named.run(bp.count([named.detector, named.device], 2))
    assert described(named) == [{"2_gamma"}]


def test_a_run_without_images_holds_them_as_well(named):
    def plan():
        yield from bps.read(named.device)
        named.diff.configure({"peaks": track(GAMMA)})
        yield from bps.null()

    named.run(bpp.stage_wrapper(bpp.run_wrapper(recorded(named, plan)), [named.device]))
    assert described(named) == [{"2_alpha"}]
    assert peaks_of(named.device.describe()) == {"2_gamma"}


def recorded(named, change):
    for _ in range(2):
        yield from bps.create(name="primary")
        yield from change()
        yield from bps.save()


def test_a_detector_with_peaks_has_them_too(steered):
    ranges = [[10, 20, 3, 7], [-5, 5, 5, 15]]
    config = {**steered.beamline.configuration, "peaks": track(ALPHA), "diff_ranges": ranges}
    device = ReducedDetector(steered.detector, image=steered.detector.image, config=config)
    try:
        steered.run(bp.scan([device], steered.furnace, 1100, 1200, 3))
        assert steered.values("primary", "detector_reduced_peak_2_alpha_seen") == [1, 1, 0]
        (keys,) = [set(doc["data_keys"]) for doc in steered.of("descriptor")]
        assert peaks_of(keys, "detector_reduced") == {"2_alpha"}

        def renamed():
            yield from bps.stage(device)
            yield from bps.open_run()
            for changes in ({}, {"peaks": track(GAMMA)}):
                device.apply(changes)
                yield from bps.trigger_and_read([device])
            yield from bps.close_run()
            yield from bps.unstage(device)

        steered.furnace.set(700)
        steered.run(renamed())
        assert steered.values("primary", "detector_reduced_peak_2_alpha_seen") == [1, 0]
        assert peaks_of(device.describe(), "detector_reduced") == {"2_gamma"}
    finally:
        device.destroy()

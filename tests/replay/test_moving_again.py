"""A geometry that moves, replayed: the same numbers, by several processes and resumed, and what files say of it."""

from __future__ import annotations

import math

import h5py
import numpy as np
import pytest
from documents.conftest import SHAPE, image
from documents.stream_runs import StreamRun, images, settle, uri_of, write_hdf5
from documents.test_moving import moving_run
from live_runs import live_of
from test_reduced_ahead import _Workers
from test_replay import without_identity

from bluesky_diffractogram import replay, to_nexus
from bluesky_diffractogram.config.quantities import HC
from bluesky_diffractogram.replay import replayed, sent_blocks
from bluesky_diffractogram.replay.curves import curves
from bluesky_diffractogram.replay.event_curves import EventCurves

Z, ENERGY = [100.0, 120.0, 119.9999, 100.0, 140.0, -1.0, 120.0], [31.0, 31.0, 30.0, 31.0, 29.0, 29.0, 31.0]


@pytest.fixture
def moving(cfg):
    return {
        **cfg, "diff_units": "2th [deg]",
        "geometry": {"distance": {"key": "z", "unit": "mm"}, "energy": "e"},
        "peaks": {"track": [{"name": "ring", "near": 9.6, "within": 2.0}]},
    }  # fmt: skip


@pytest.fixture
def run():
    return list(moving_run({"z": Z, "e": ENERGY}))


def assert_same(documents, others):
    np.testing.assert_equal(without_identity(documents), without_identity(others))


def derived_of(*arguments, **settings):
    collected = []
    replay(*arguments, **settings).store(lambda name, doc: collected.append((name, doc)))
    return collected


def test_a_replay_is_what_was_live(moving, run):
    live = live_of(moving, run)
    assert_same(derived_of(run, moving), live.derived)
    again = derived_of(live.derived, raw=run)  # from what the derived run itself says
    assert_same(again, live.derived)
    assert [each["geometry_distance"] for each in live.events] == [0.1, 0.12, 0.12, 0.1, 0.14, 0.12]


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(sent_blocks, "FIRST_FRAMES", 3)
    monkeypatch.setattr(sent_blocks.SentBlocks, "_fit", lambda *_: None)


@pytest.fixture
def hdf5_run(tmp_path):
    """Frames in a file; the detector's distance is the motor."""
    path = tmp_path / "frames.h5"
    write_hdf5(path, images(12), chunks=(1, *SHAPE))
    settle()
    return list(StreamRun(uri_of(path), motor=True).step_scan(12))


@pytest.mark.timeout(180)
@pytest.mark.xdist_group("workers")
@pytest.mark.parametrize("units", [None, "mm"])
def test_workers_give_the_same(cfg, pool, hdf5_run, small_blocks, units, monkeypatch):
    """Also the units of the data key, and readings in the configuration, come to them; and here no table is built."""
    from bluesky_diffractogram.reduction.reducer import Reducer

    descriptor = next(doc for name, doc in hdf5_run if name == "descriptor")
    if units is not None:
        descriptor["data_keys"]["motor"]["units"] = units
    descriptor["configuration"] = {"mono": {
        "data": {"e": 30.5, "x": 1}, "timestamps": {"e": 0.0, "x": 0.0},
        "data_keys": {name: {"source": "t", "dtype": "number", "shape": [], "units": "keV"} for name in ("e", "x")},
    }}  # fmt: skip
    distance = {"key": "motor", "offset": 100.0 if units else 0.1, "scale": 5.0 if units else 5e-3}
    moving = {**cfg, "geometry": {"distance": distance, "energy": "e"}}
    serial = derived_of(hdf5_run, moving)
    built, make = [], Reducer.__init__
    monkeypatch.setattr(
        Reducer, "__init__", lambda self, *args, **kwargs: built.append(1) or make(self, *args, **kwargs)
    )
    assert_same(derived_of(hdf5_run, moving, workers=pool), serial)
    assert len(built) == 2  # the calibration's, and that of the first frame, which says what shape the others have
    told = [doc["data"]["geometry_distance"] for name, doc in serial if name == "event"]
    assert told == pytest.approx([0.1 + 5e-2 * n for n in range(12)], rel=1e-11)


def test_a_resumed_replay_goes_on_with_the_peaks_where_they_are(cfg, moving, hdf5_run):
    for settings in (moving, {**moving, "peaks": {}}):
        settings = {**settings, "geometry": {
            "distance": {"key": "motor", "scale": 5e-3, "offset": 0.1},
            "energy": {"key": "motor", "scale": 0.2, "offset": 31.0},
        }}  # fmt: skip
        whole = derived_of(hdf5_run, settings)
        half = whole[: 2 + 6]  # start, descriptor, six events
        again = replay(hdf5_run, settings, resume=half)
        documents = []
        again.store(lambda name, doc, kept=documents: kept.append((name, doc)))
        assert again.taken_over == 5
        assert_same(documents, whole)
    other = [
        (name, {**doc, "data": {**doc["data"], "motor": doc["data"]["motor"] + 1.0}} if name == "event" else doc)
        for name, doc in hdf5_run
    ]
    again = replay(other, settings, resume=whole)
    again.store(lambda name, doc: None)
    assert again.taken_over == 0


def test_a_peak_is_followed_where_the_geometry_takes_it(cfg):
    """In 2θ with the energy: a line leaves its place by more than its width from frame to frame, and is known again."""
    energies = [31.0, 28.0, 25.0, 33.0]
    d = 2.6  # Å
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    frames = []
    for energy in energies:
        two_theta = 2.0 * math.asin(HC / energy / (2.0 * d))
        radius = np.hypot((y - SHAPE[0] / 2) * 0.6, (x - SHAPE[1] / 2) * 0.5)
        bend = 100.0 * math.tan(two_theta)
        strong = 3000 * np.exp(-(((radius - 29.0) / 0.6) ** 2))  # of another sample, say: it stays
        expected = 50 + 800 * np.exp(-(((radius - bend) / 0.6) ** 2)) + strong
        frames.append(np.random.default_rng(0).poisson(expected).astype("u2"))
    flat = cfg["calibration"]
    with open(flat) as file:
        text = file.read()
    with open(flat, "w") as file:
        file.write(text.replace("Rot1: 0.02", "Rot1: 0").replace("Rot2: -0.03", "Rot2: 0"))
    run = list(moving_run({"e": energies}, images=frames))
    here = math.degrees(2.0 * math.asin(HC / 31.0 / (2.0 * d)))
    moving = {
        "calibration": flat, "diff_ranges": [[0, 360, 4, 18]], "diff_units": "2th [deg]", "npt": 300,
        "geometry": {"energy": "e"},
    }  # fmt: skip
    expected = [math.degrees(2.0 * math.asin(HC / energy / (2.0 * d))) for energy in energies]
    assert min(np.abs(np.diff(expected))) > 0.9  # the line is 0.57° wide, and looked for as near as that
    named = {**moving, "peaks": {"track": [{"name": "line", "near": here, "within": 0.3}]}}
    events = [doc["data"] for name, doc in derived_of(run, named) if name == "event"]
    assert [each["peak_1_line_seen"] for each in events] == [1] * 4
    assert [each["peak_1_line_position"] for each in events] == pytest.approx(expected, abs=0.05)
    phase = {**moving, "peaks": {"phases": [{"name": "s", "spacings": {"line": d}}]}}
    events = [doc["data"] for name, doc in derived_of(run, phase) if name == "event"]
    assert [each["peak_1_s_line_position"] for each in events] == pytest.approx(expected, abs=0.05)
    # the one that is followed without a name is the strongest of the first frame, here the only one in its range
    narrow = {**moving, "diff_ranges": [[0, 360, 6, 14]]}
    events = [doc["data"] for name, doc in derived_of(run, narrow) if name == "event"]
    assert [each["peak_1_position"] for each in events] == pytest.approx(expected, abs=0.05)


def test_data_sets_and_files_tell_the_geometry(moving, run, tmp_path):
    past = replay(run, moving)
    dataset = past.to_xarray()
    assert dataset["geometry_distance"].dims == dataset["diff_1"].dims[:1]
    assert dataset["geometry_distance"].values.tolist() == [0.1, 0.12, 0.12, 0.1, 0.14, 0.12]
    assert dataset["geometry_distance"].attrs["units"] == "m"
    assert dataset["geometry_energy"].attrs["units"] == "keV"
    lengths = HC / np.array([31.0, 31.0, 30.0, 31.0, 29.0, 31.0]) * 1e-10
    assert [curve.wavelength for curve in curves(dataset) if curve.number == 1] == pytest.approx(lengths)
    documents = derived_of(run, moving)
    events = EventCurves(documents[0][1])
    events.descriptor(next(doc for name, doc in documents if name == "descriptor"))
    found = [events.curves(doc)[0].wavelength for name, doc in documents if name == "event"]
    assert found == pytest.approx(lengths)
    to_nexus(dataset, tmp_path / "moving.nxs")
    with h5py.File(tmp_path / "moving.nxs") as file:
        (entry,) = (each for each in file.values() if each.attrs.get("NX_class") == "NXentry")
        np.testing.assert_array_equal(entry["frames/geometry_distance"], dataset["geometry_distance"])
        assert entry["frames/geometry_distance"].attrs["units"] == "m"
        np.testing.assert_allclose(entry["instrument/monochromator/wavelength"], lengths * 1e10)
        assert "azint1d_1" in entry


def test_readings_are_used_that_are_not_carried(moving, run):
    """They go neither to the workers nor into the events for that reason; what they tell does."""
    events = [doc["data"] for name, doc in derived_of(run, moving) if name == "event"]
    assert {"z", "e"}.isdisjoint(events[0])
    assert image(0).shape == SHAPE


@pytest.fixture
def poni_run(cfg, tmp_path):
    """Frames in a file, each with a PONI file of its own that its event names."""
    with open(cfg["calibration"]) as file:
        text = file.read()
    path = tmp_path / "frames.h5"
    write_hdf5(path, images(6), chunks=(1, *SHAPE))
    settle()
    documents = list(StreamRun(uri_of(path), motor=True).step_scan(6))
    for n, doc in enumerate(doc for name, doc in documents if name == "event"):
        named = tmp_path / f"{n // 2}.poni"
        named.write_text(text.replace("Distance: 0.1", f"Distance: 0.1{2 + n // 2}"))
        doc["data"]["motor"] = str(named)
    return documents


def test_poni_files_again(cfg, poni_run, small_blocks, caplog, monkeypatch):
    given = _Workers()
    monkeypatch.setattr(replayed, "_workers", lambda workers: workers and given)
    moving = {**cfg, "geometry": {"poni": "motor"}}
    live = live_of(moving, poni_run)
    assert [each["geometry_distance"] for each in live.events] == pytest.approx([0.12, 0.12, 0.13, 0.13, 0.14, 0.14])
    assert_same(derived_of(poni_run, moving), live.derived)
    assert_same(derived_of(live.derived, raw=poni_run), live.derived)
    assert_same(derived_of(poni_run, moving, workers=2), live.derived)
    assert given
    assert "is another now" not in caplog.text


@pytest.mark.parametrize("workers", [None, 2])
def test_a_poni_file_that_is_another_now_is_said(cfg, poni_run, small_blocks, tmp_path, caplog, monkeypatch, workers):
    monkeypatch.setattr(replayed, "_workers", lambda workers: workers and _Workers())
    moving = {**cfg, "geometry": {"poni": "motor"}, "peaks": False}  # which would be followed from frame to frame
    live = live_of(moving, poni_run)
    (tmp_path / "1.poni").write_text((tmp_path / "2.poni").read_text())
    again = derived_of(live.derived, raw=poni_run, workers=workers)
    assert [doc["data"]["geometry_distance"] for name, doc in again if name == "event"][2] == pytest.approx(0.14)
    said = [record.getMessage() for record in caplog.records if "is another now" in record.getMessage()]
    assert len(said) == 1
    assert "seq_num 3: its geometry is {'geometry_distance': 0.14" in said[0]
    resumed = replay(poni_run, moving, resume=live.derived)
    documents = []
    resumed.store(lambda name, doc: documents.append((name, doc)))
    assert resumed.taken_over == 3
    assert_same(documents, again)

"""Several detectors that move: each has a geometry of its own, frame by frame, and all have one beam."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ponis import write_poni

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.reduction.reducer import Reducer

from .conftest import SHAPE, image, send
from .merged_dark_runs import TwoDarkened, second_dark
from .merged_runs import SECOND, in_memory, merged_config, second_image
from .test_callback import frames_add_up
from .test_merged import reduce

HC = 12.398419843320026e-10
READ = {
    name: {"source": "t", "dtype": "number", "shape": [], "object_name": name} for name in ("z1", "z2", "tilt", "e")
}
TOLD = [(0.1, 0.13, 0.6, 31.0), (0.12, 0.13, 0.6, 31.0), (0.12, 0.14, 0.55, 31.0), (0.12, 0.14, 0.55, 29.5)]
"""Distances, the second detector's rot1, and the energy of the frames."""


def still_config(folder, told, **settings):
    """The two detectors where one frame has them, by calibrations; limits in q, open on no side."""
    folder.mkdir(exist_ok=True)
    z1, z2, tilt, energy = told
    wavelength = HC / energy
    first = write_poni(
        folder / "first.poni",
        shape=SHAPE,
        pixel=(6e-4, 5e-4),
        distance=z1,
        rot=(0.02, -0.03, 0.0),
        wavelength=wavelength,
    )
    second = write_poni(
        folder / "second.poni", shape=SECOND, pixel=(4e-4, 4e-4), distance=z2, rot=(tilt, 0.02, 0.0),
        wavelength=wavelength,
    )  # fmt: skip
    return {
        "calibration": str(first), "image_key": "det1", "diff_units": "q [1/A]", "npt": 150, "range_unit": "same",
        "diff_ranges": [[None, None, 0.5, 8.0], [-40, 30, 1.0, 7.0]], "error_model": "poisson", "count": True,
        "merge": [{"image_key": "det2", "calibration": str(second), "scale": 1.5}], **settings,
    }  # fmt: skip


@pytest.fixture
def moving(tmp_path):
    cfg = still_config(tmp_path / "calibrated", TOLD[0], geometry={"distance": "z1", "energy": "e"})
    return with_second(cfg, geometry={"distance": "z2", "rot1": "tilt"})


def with_second(cfg, **settings):
    return {**cfg, "merge": [{**cfg["merge"][0], **settings}]}


def events_of(told):
    return [
        {"det1": image(n), "det2": second_image(n), "z1": z1, "z2": z2, "tilt": tilt, "e": e}
        for n, (z1, z2, tilt, e) in enumerate(told)
    ]


def run_of(events):
    return in_memory([{key: value for key, value in each.items() if value is not None} for each in events], **READ)


def still(tmp_path, n, told, **settings):
    cfg = still_config(tmp_path / f"still_{n}", told, **settings)
    (event,) = reduce(cfg, run_of(events_of(TOLD)[n : n + 1])).of("event")
    return event["data"]


def assert_same_curves(data, expected):
    for key in ("diff_1", "diff_2", "sigma_1", "sigma_2"):
        np.testing.assert_allclose(data[key], expected[key], rtol=1e-6, err_msg=key)
    np.testing.assert_array_equal(data["count_1"], expected["count_1"])


@pytest.mark.parametrize("background", [True, False])
def test_each_frame_is_reduced_where_its_detectors_are(moving, tmp_path, background):
    """As with calibrations that have them there, limits in q being the same."""
    collected = reduce(moving, run_of(events_of(TOLD)), background=background)
    assert frames_add_up(collected.of("stop")[0])["reduced"] == len(TOLD)
    found = [doc["data"] for doc in collected.of("event")]
    for n, (data, told) in enumerate(zip(found, TOLD, strict=True)):
        assert_same_curves(data, still(tmp_path, n, told))
        recorded = [data[f"geometry_{name}"] for name in ("distance", "det2_distance", "det2_rot1", "energy")]
        assert recorded == pytest.approx(told, rel=1e-9)
    assert not np.allclose(found[1]["diff_1"][1], found[2]["diff_1"][1], equal_nan=True)
    assert "geometry_det2_energy" not in found[0]


def test_the_second_alone_moves(moving, tmp_path):
    cfg = {**moving, "geometry": None}
    told = [(0.1, 0.13, 0.6, 31.0), (0.1, 0.14, 0.55, 31.0)]
    found = [doc["data"] for doc in reduce(cfg, run_of(events_of(told))).of("event")]
    for n, (data, each) in enumerate(zip(found, told, strict=True)):
        assert_same_curves(data, still(tmp_path, n, each))
    assert "geometry_distance" not in found[0]


def test_a_beam_that_changes_is_that_of_all(moving, tmp_path):
    """Also where a detector stays, and where a PONI that tells of the second one says another wavelength."""
    told = [(0.1, 0.13, 0.6, 31.0), (0.1, 0.13, 0.6, 29.5)]
    cfg = with_second({**moving, "geometry": {"energy": "e"}}, geometry=None)
    other = write_poni(
        tmp_path / "other.poni", shape=SECOND, pixel=(4e-4, 4e-4), distance=0.13, rot=(0.6, 0.02, 0.0), wavelength=1e-10
    )
    by_poni = with_second({**moving, "geometry": {"energy": "e"}}, geometry={"poni": "file"})
    events = [
        {**event, "file": path} for event, path in zip(events_of(told), (str(other), other.read_text()), strict=True)
    ]
    for settings in (cfg, by_poni):
        text = {"source": "t", "dtype": "string", "shape": [], "object_name": "file"}
        found = [doc["data"] for doc in reduce(settings, in_memory(events, **READ, file=text)).of("event")]
        for n, (data, each) in enumerate(zip(found, told, strict=True)):
            assert_same_curves(data, still(tmp_path, n, each))


def test_open_limits_are_those_of_the_calibrations(moving):
    cfg = {**moving, "diff_ranges": [[None, None, None, None]]}
    found = [doc["data"] for doc in reduce(cfg, run_of(events_of(TOLD))).of("event")]
    (fixed,) = reduce({**with_second(cfg, geometry=None), "geometry": None}, run_of(events_of(TOLD[:1]))).of("event")
    for data in found:
        np.testing.assert_array_equal(data["radial_range_1"], fixed["data"]["radial_range_1"])
        np.testing.assert_array_equal(data["diff_1"][0], fixed["data"]["diff_1"][0])
    np.testing.assert_array_equal(found[0]["diff_1"], fixed["data"]["diff_1"])


@pytest.mark.parametrize("optional", [False, True])
def test_a_reading_that_is_missing(moving, tmp_path, optional):
    events = events_of(TOLD[1:3])
    events[1]["tilt"] = None
    collected = reduce(with_second(moving, geometry={"rot1": "tilt"}, optional=optional), run_of(events))
    frames = frames_add_up(collected.of("stop")[0])
    if not optional:
        assert (frames["reduced"], frames["reasons"]) == (1, {"geometry": 1})
        assert "geometry.rot1" in frames["messages"]["geometry"] or "'tilt'" in frames["messages"]["geometry"]
        return
    assert frames["without"]["det2"]["reasons"] == {"geometry": 1}
    _, without = (doc["data"] for doc in collected.of("event"))
    alone = reduce({**moving, "merge": []}, run_of(events[1:])).of("event")[0]["data"]
    for key in ("diff_1", "diff_2", "count_1", "peaks_2"):
        np.testing.assert_array_equal(without[key], alone[key])
    assert np.isnan(without["geometry_det2_rot1"])
    assert without["geometry_distance"] == TOLD[1][0]


def test_tables_are_built_for_new_geometries_only(moving, monkeypatch):
    built, make = [], Reducer.__init__
    monkeypatch.setattr(
        Reducer, "__init__", lambda self, *args, **kwargs: built.append(1) or make(self, *args, **kwargs)
    )
    told = [TOLD[0], TOLD[1], TOLD[2], TOLD[1], TOLD[2], TOLD[0]]
    with ReductionCallback(moving, background=False, strict=True) as diff:
        send(diff, run_of(events_of(told)))
        assert len(built) == 3
        assert diff._pipeline._reducers.moved.nbytes > 0


def test_with_darks_of_each(tmp_path):
    """All at once: darks of the run, detectors that move, and an event without the second image."""
    base = merged_config(tmp_path, range_unit="2th_deg", diff_ranges=[[-40, 30, 5, 25]], dark={"stream": "dark"})
    cfg = with_second(
        {**base, "geometry": {"distance": "z"}}, optional=True, geometry={"distance": {"key": "z", "scale": 1.3}}
    )
    run = TwoDarkened(readings={"z": "number"})
    documents = [*run.begin(), run.dark(image(0) // 9, second_dark(0))]
    documents += [run.event(image(1), second_image(1), z=z) for z in (0.1, 0.12)]
    documents += [run.dark(image(4) // 8, second_dark(3)), run.event(image(1), second_image(1), z=0.12)]
    documents += [run.event(image(2), None, z=0.12), run.stop()]
    found = [doc["data"] for doc in reduce(cfg, documents).of("event")]
    assert [(data["dark_seq_num"], data["dark_seq_num_det2"]) for data in found] == [(1, 1), (1, 1), (2, 2), (2, 0)]
    darks = [(image(0) // 9, second_dark(0)), (image(4) // 8, second_dark(3))]
    for data, of_dark, n in zip(found, (0, 0, 1, 1), (1, 1, 1, 2), strict=True):
        z = data["geometry_distance"]
        second = second_image(n) if data["merged_det2"] else None
        constant = with_second({**cfg, "dark": darks[of_dark][0]}, dark=darks[of_dark][1])
        events = [{"det1": image(n), "det2": second, "z": z}]
        events = [{key: value for key, value in each.items() if value is not None} for each in events]
        z_key = {"source": "t", "dtype": "number", "shape": [], "object_name": "z"}
        (expected,) = reduce(constant, in_memory(events, z=z_key)).of("event")
        np.testing.assert_array_equal(data["diff_1"], expected["data"]["diff_1"])


def test_calibrations_stay_where_they_are(moving):
    """Nothing is written to a calibration by what moves from it."""
    paths = moving["calibration"], moving["merge"][0]["calibration"]
    before = [Path(path).read_text() for path in paths]
    first = reduce(moving, run_of(events_of(TOLD))).of("event")
    again = reduce(moving, run_of(events_of(TOLD[::-1]))).of("event")
    assert [Path(path).read_text() for path in paths] == before
    assert len(first) == len(again)

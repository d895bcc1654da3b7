"""Derived documents as data sets."""

from __future__ import annotations

import json
import math

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from documents.conftest import raw_run
from documents.stream_runs import images
from live_runs import run_live
from ophyd.sim import SynAxis

from bluesky_diffractogram import replay
from bluesky_diffractogram.replay.dataset import DerivedRows, pick
from bluesky_diffractogram.replay.values import column, plain


def dataset_of(documents):
    rows = DerivedRows()
    for name, doc in documents:
        rows(name, doc)
    return pick(rows.datasets(), None, None)


def test_dimensions_coordinates_units_and_limits(cfg, motor, detector):
    live = run_live(cfg, bp.scan([detector], motor, 0, 3, 4))
    found = replay(live.raw, cfg).to_xarray()
    assert found["diff_1"].dims == ("motor", "radial_1")
    assert found["peaks_2_height"].dims == ("motor", "peak")
    assert dict(found.sizes) == {"motor": 4, "radial_1": 150, "radial_2": 150, "peak": 20}
    assert found["motor"].values.tolist() == [0, 1, 2, 3]
    assert found["seq_num"].values.tolist() == [1, 2, 3, 4]
    assert found["frame_index"].values.tolist() == [0] * 4
    assert found["time"].dtype == "datetime64[ns]"
    times = np.array([data["timestamp"] for data in live.events])
    np.testing.assert_allclose(found["time"].values.astype("i8") / 1e9, times, rtol=0, atol=1e-6)
    assert found["radial_1"].attrs == {"units": "1/Å", "long_name": "q [1/A]", "unit": "q_A^-1"}
    assert found["diff_1"].attrs["azimuth_range"] == [10.0, 60.0]
    assert found["diff_1"].attrs["radial_range"] == live.events[0]["radial_range_1"].tolist()
    assert found["diff_1"].attrs["units"] == "counts"
    assert found["peaks_1_position"].attrs["units"] == "1/Å"
    assert found["peaks_1_height"].attrs["units"] == "counts"
    assert found["n_peaks_1"].dtype == np.int64
    assert found["imagename"].values.tolist() == [data["imagename"] for data in live.events]


def test_cakes_and_counts_are_there_with_their_axes(cfg, motor, detector):
    live = run_live(
        {**cfg, "cake": {"npt_rad": 30, "npt_azim": 20}, "count": True}, bp.scan([detector], motor, 0, 1, 3)
    )
    found = replay(live.raw, {**cfg, "cake": {"npt_rad": 30, "npt_azim": 20}, "count": True}).to_xarray()
    assert found["cake"].dims == ("motor", "cake_azimuthal", "cake_radial")
    assert found["cake"].shape == (3, 20, 30)
    np.testing.assert_array_equal(found["cake"].values, [data["cake"] for data in live.events])
    assert found["cake_radial"].attrs["units"] == "1/Å"
    assert found["count_1"].dims == ("motor", "radial_1")
    assert found["count_1"].dtype == np.int64
    np.testing.assert_array_equal(found["count_1"].values, [data["count_1"] for data in live.events])


def test_attributes_say_where_the_numbers_come_from(cfg, motor, detector):
    live = run_live(cfg, bp.scan([detector], motor, 0, 1, 2, md={"sample": {"name": "CeO2"}}))
    start = live.derived[0][1]
    attrs = replay(live.raw, cfg).to_xarray().attrs
    assert attrs["raw_uid"] == live.uid
    assert attrs["raw_scan_id"] == live.raw[0][1]["scan_id"]
    assert json.loads(attrs["configuration"]) == json.loads(start["configuration"])
    assert attrs["calibration"] == open(cfg["calibration"]).read()  # noqa: SIM115
    assert attrs["calibration_sha256"] == start["calibration"]["sha256"]
    assert json.loads(attrs["versions"]) == start["versions"]
    assert json.loads(attrs["sample"]) == {"name": "CeO2"}
    assert json.loads(attrs["frames"])["reduced"] == 2
    assert attrs["exit_status"] == "success"
    assert all(isinstance(value, (str, int, float)) for value in attrs.values())


def test_a_count_has_frames_and_a_grid_too(cfg, motor, detector):
    count = run_live(cfg, bp.count([detector], 3))
    assert replay(count.raw, cfg).to_xarray()["diff_1"].dims == ("frame", "radial_1")
    other = SynAxis(name="other")
    grid = run_live(cfg, bp.grid_scan([detector], motor, 0, 1, 2, other, 5, 6, 2))
    found = replay(grid.raw, cfg).to_xarray()
    assert found["diff_1"].dims == ("frame", "radial_1")
    assert found["other"].dims == ("frame",)
    assert found["other"].values.tolist() == [5, 6, 5, 6]


def test_a_frame_that_was_taken_again_is_there_once_the_later_one(cfg):
    frames = images(5)
    documents = list(raw_run(frames, seq_nums=[1, 2, 3, 2, 3]))
    found = replay(documents, cfg).to_xarray()
    assert found["seq_num"].values.tolist() == [1, 2, 3]
    straight = replay(list(raw_run([frames[0], frames[3], frames[4]])), cfg).to_xarray()
    np.testing.assert_array_equal(found["diff_1"].values, straight["diff_1"].values)
    assert json.loads(found.attrs["frames"])["replaced"] == 2


def test_carried_readings_keep_their_type_and_lose_no_name(cfg):
    carried = {"temperature": [300.0, math.nan], "frame": [7.5, 8.5]}
    found = replay(list(raw_run(images(2), carried=carried)), {**cfg, "carry": ["temperature", "frame"]}).to_xarray()
    np.testing.assert_array_equal(found["temperature"].values, [300.0, math.nan])
    assert found["carried_frame"].values.tolist() == [7.5, 8.5]
    assert found["diff_1"].dims == ("frame", "radial_1")


def test_it_can_be_written_as_netcdf_and_read_back(cfg, motor, detector, tmp_path):
    pytest.importorskip("h5netcdf")
    import xarray

    live = run_live(cfg, bp.scan([detector], motor, 0, 1, 2))
    found = replay(live.raw, cfg).to_xarray()
    found.to_netcdf(tmp_path / "found.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "found.nc", engine="h5netcdf") as again:
        xarray.testing.assert_equal(again.load(), found)


def test_documents_as_stores_give_them_back_make_the_same_data_set(cfg, motor, detector):
    """Lists for arrays, null for NaN, pages for events."""
    from event_model import pack_event_page

    live = run_live({**cfg, "diff_ranges": [[10, 60, 4, 60]], "npt": 400}, bp.scan([detector], motor, 0, 2, 3))
    assert np.isnan(live.events[0]["diff_1"]).any()

    def as_json(value):
        return json.loads(json.dumps(value, default=lambda array: array.tolist()).replace("NaN", "null"))

    stored = [(name, as_json(doc)) for name, doc in live.derived]
    events = [doc for name, doc in stored if name == "event"]
    paged = [*stored[:2], ("event_page", pack_event_page(*events)), stored[-1]]
    for documents in (stored, paged):
        assert dataset_of(documents).identical(dataset_of(live.derived))


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        ("number", [1, None, 2.5], np.array([1, np.nan, 2.5])),
        ("integer", [1, 2], np.array([1, 2])),
        ("integer", [1, None], np.array([1.0, np.nan])),
        ("boolean", [True, False], np.array([True, False])),
        ("string", ["a", None], np.array(["a", ""])),
        ("array", [[1], [2, 3]], None),
        ("number", ["x", 1.0], None),
    ],
)
def test_a_column_has_the_type_of_its_data_key(dtype, values, expected):
    found = column(values, {"dtype": dtype})
    if expected is None:
        assert found.dtype == object
        assert found.tolist() == values
    else:
        np.testing.assert_array_equal(found, expected)
        assert found.dtype.kind == expected.dtype.kind


def test_other_runs_are_passed_over(cfg):
    rows = DerivedRows()
    for name, doc in raw_run(images(1)):
        rows(name, doc)
    assert rows.datasets() == {}


def test_read_only_views_become_dictionaries():
    from types import MappingProxyType

    found = plain(MappingProxyType({"a": (1, MappingProxyType({"b": "text"}))}))
    assert found == {"a": [1, {"b": "text"}]}
    assert type(found["a"][1]) is dict


def test_several_frames_for_each_event_are_rows_of_their_own(cfg, motor):
    documents = list(raw_run([np.array(images(2)), np.array(images(2))]))
    found = replay(documents, cfg).to_xarray()
    assert found["seq_num"].values.tolist() == [1, 1, 2, 2]
    assert found["frame_index"].values.tolist() == [0, 1, 0, 1]


def test_a_plan_that_reads_two_motors_by_hand_has_frames(cfg, motor, detector):
    @bpp.run_decorator()
    def plan():
        for position in (1, 2):
            yield from bps.mv(motor, position)
            yield from bps.trigger_and_read([detector, motor])

    live = run_live(cfg, plan())
    assert replay(live.raw, cfg).to_xarray()["diff_1"].dims == ("frame", "radial_1")

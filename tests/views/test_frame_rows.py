"""Which documents become rows of a heat-map, and when rows are forgotten."""

from __future__ import annotations

import json

import numpy as np
import pytest
from derived_run_example import T0, DerivedRun, RangeExample

from bluesky_diffractogram.views.frame_rows import FrameRows

TWO = (RangeExample(), RangeExample((-5, 5), (2, 8), 150))


def feed(rows, run, documents=None):
    """Give documents to `rows` as a view does."""
    for name, doc in run.documents() if documents is None else documents:
        getattr(rows, name)(doc)


def curves(run, frames, number=1):
    """What `run` emits for `frames`."""
    run.begin("again")
    return np.array([run.event(frame)[1]["data"][f"diff_{number}"][1] for frame in frames])


def test_each_event_is_a_row_of_the_range_with_its_time_and_readings():
    run = DerivedRun(TWO, 4, readings=lambda frame: {"temperature": 300.0 + 5 * frame}, times=lambda f: 2.5 * f)
    rows = FrameRows()
    feed(rows, run)
    kept = rows.snapshot(2)
    np.testing.assert_array_equal(kept.intensity, curves(run, range(4), 2))
    np.testing.assert_allclose(kept.seconds, [0, 2.5, 5, 7.5])
    np.testing.assert_array_equal(kept.carried["temperature"], [300, 305, 310, 315])
    assert set(kept.carried) == {"temperature"}
    assert kept.first == 1
    assert kept.run_labels == ("scan 12 [raw123]",)
    np.testing.assert_array_equal(kept.stream.ranges[2].radial, TWO[1].axis())


def test_nothing_came_nothing_is_shown():
    assert FrameRows().snapshot(1) is None


def test_only_the_last_rows_are_kept_and_numbered_on():
    run = DerivedRun(frames=7, configuration={"buffer_size": 3})
    rows = FrameRows()
    feed(rows, run)
    kept = rows.snapshot(1)
    np.testing.assert_array_equal(kept.intensity, curves(run, [4, 5, 6]))
    assert kept.first == 5
    np.testing.assert_allclose(kept.seconds, [4, 5, 6])


def test_an_argument_overrides_the_configured_size():
    rows = FrameRows(buffer_size=2)
    feed(rows, DerivedRun(frames=5, configuration={"buffer_size": 4}))
    assert len(rows.snapshot(1).intensity) == 2


def test_a_frame_that_comes_again_replaces_its_row():
    first = DerivedRun(frames=5, scale=100)
    rows = FrameRows()
    feed(rows, first, [("start", first.start), first.begin(), *(first.event(frame) for frame in range(3))])
    again = first.event(4, seq_num=2)
    feed(rows, first, [again])
    kept = rows.snapshot(1)
    assert len(kept.intensity) == 3
    np.testing.assert_array_equal(kept.intensity[1], again[1]["data"]["diff_1"][1])
    assert kept.first == 1


def test_rows_go_on_in_the_next_run_of_the_same_meaning():
    rows = FrameRows()
    feed(rows, DerivedRun(frames=3))
    feed(rows, DerivedRun(frames=2, scan_id=13, raw_uid="other678", t0=T0 + 100))
    kept = rows.snapshot(1)
    assert kept.intensity.shape == (5, 200)
    assert kept.run_labels == ("scan 12 [raw123]", "scan 13 [other6]")
    np.testing.assert_allclose(kept.seconds, [0, 1, 2, 100, 101])


def test_a_run_is_not_named_any_more_when_its_rows_have_scrolled_out():
    rows = FrameRows(buffer_size=2)
    feed(rows, DerivedRun(frames=3))
    feed(rows, DerivedRun(frames=2, scan_id=13))
    assert rows.snapshot(1).run_labels == ("scan 13 [raw123]",)


@pytest.mark.parametrize(
    "change",
    [
        {"ranges": (RangeExample(radial=(0, 11)),)},
        {"ranges": (RangeExample(azimuth=(10, 21)),)},
        {"ranges": (RangeExample(npt=199),)},
        {"unit": "2th_deg"},
        {"configuration": {"mask": "other.npy"}},
        {"configuration": {"correct_solid_angle": False}},
        {"configuration": {"buffer_size": 100}},
        {"metadata": {"calibration": {"sha256": "other"}}},
        {"metadata": {"arrays": {"mask": {"sha256": "other"}}}},
    ],
)
def test_what_alters_the_numbers_forgets_the_rows(change):
    rows = FrameRows()
    feed(rows, DerivedRun(frames=3))
    feed(rows, DerivedRun(**{"frames": 2, **change}))
    assert len(rows.snapshot(1).intensity) == 2
    assert rows.snapshot(1).first == 1


@pytest.mark.parametrize("key", ["colors", "main_plot", "queue_size", "show_diff"])
def test_what_does_not_alter_the_numbers_keeps_the_rows(key):
    rows = FrameRows()
    feed(rows, DerivedRun(frames=3))
    feed(rows, DerivedRun(frames=2, configuration={key: "something"}))
    assert len(rows.snapshot(1).intensity) == 5


@pytest.mark.parametrize(
    ("argument", "configured", "left"),
    [(None, True, 2), (None, False, 5), (True, False, 2), (False, True, 5)],
)
def test_a_run_begins_without_rows_if_that_is_wanted(argument, configured, left):
    rows = FrameRows(reset_on_start=argument)
    for frames in (3, 2):
        feed(rows, DerivedRun(frames=frames, configuration={"reset_on_start": configured}))
    assert len(rows.snapshot(1).intensity) == left


def mid_run(configuration, ranges, provenance=None):
    """A run that goes on in a second stream after two frames; its documents."""
    run = DerivedRun(frames=5)
    yield "start", run.start
    yield run.begin()
    yield run.event(0)
    yield run.event(1)
    run.ranges = ranges
    name, descriptor = run.begin("diffractogram_2", configuration)
    if provenance is not None:
        descriptor["configuration"]["diffractogram"]["data"]["provenance"] = json.dumps(provenance)
    yield name, descriptor
    yield run.event(2)


@pytest.mark.parametrize(
    ("configuration", "ranges", "provenance", "left"),
    [
        ({}, (RangeExample(npt=99),), None, 1),
        ({"mask": "other.npy"}, (RangeExample(),), None, 1),
        ({"peaks": {"max_peaks": 3}}, (RangeExample(),), None, 3),
        ({}, (RangeExample(),), {"calibration": {"sha256": "written anew"}}, 1),
        ({}, (RangeExample(),), {"arrays": {"mask": {"sha256": "written anew"}}}, 1),
        ({}, (RangeExample(),), {"calibration": None, "arrays": {}}, 3),
    ],
)
def test_a_second_stream_forgets_the_rows_unless_its_numbers_mean_the_same(configuration, ranges, provenance, left):
    rows = FrameRows()
    feed(rows, None, mid_run(configuration, ranges, provenance))
    assert len(rows.snapshot(1).intensity) == left


def test_interleaved_runs_of_the_same_meaning_share_the_rows():
    one, two = DerivedRun(frames=3), DerivedRun(frames=3, scan_id=13)
    rows = FrameRows()
    opened = [("start", one.start), one.begin(), ("start", two.start), two.begin()]
    feed(rows, None, [*opened, one.event(0), two.event(0), one.event(1), one.stop(), two.event(1)])
    assert len(rows.snapshot(1).intensity) == 4


def test_the_last_of_two_interleaved_runs_of_different_meaning_is_shown():
    one, two = DerivedRun(frames=3), DerivedRun((RangeExample(npt=50),), frames=3)
    rows = FrameRows()
    opened = [("start", one.start), one.begin(), ("start", two.start), two.begin()]
    feed(rows, None, [*opened, one.event(0), two.event(0), one.event(1), two.event(1)])
    assert rows.snapshot(1).intensity.shape == (2, 50)


def test_other_runs_and_ranges_that_are_not_there_are_ignored():
    run = DerivedRun(frames=2)
    rows = FrameRows()
    feed(rows, run)
    assert rows.snapshot(2) is None
    foreign = DerivedRun(frames=2)
    documents = list(foreign.documents())
    del documents[0][1]["purpose"]
    rows = FrameRows()
    feed(rows, None, documents)
    assert rows.snapshot(1) is None


def test_a_run_whose_beginning_was_missed_is_ignored():
    rows = FrameRows()
    feed(rows, None, list(DerivedRun(frames=2).documents())[1:])
    assert rows.snapshot(1) is None


def test_rows_are_forgotten_and_counted_anew_after_a_reset():
    run = DerivedRun(frames=5)
    rows = FrameRows()
    feed(rows, None, [("start", run.start), run.begin(), run.event(0), run.event(1)])
    rows.reset()
    assert rows.snapshot(1) is None
    feed(rows, None, [run.event(2)])
    assert rows.snapshot(1).first == 1
    np.testing.assert_allclose(rows.snapshot(1).seconds, [0.0])


def test_nothing_is_added_while_not_collecting():
    run = DerivedRun(frames=5)
    rows = FrameRows()
    feed(rows, None, [("start", run.start), run.begin(), run.event(0)])
    rows.collecting = False
    feed(rows, None, [run.event(1)])
    rows.collecting = True
    feed(rows, None, [run.event(2)])
    np.testing.assert_array_equal(rows.snapshot(1).intensity, curves(run, [0, 2]))


def test_readings_that_are_no_numbers_become_nan():
    run = DerivedRun(frames=1, readings=lambda frame: {"sample": "steel"})
    rows = FrameRows()
    rows.reading = "sample"
    feed(rows, run)
    assert np.isnan(rows.snapshot(1).carried["sample"]).all()


def test_none_of_a_document_store_is_nan():
    run = DerivedRun(frames=1)
    documents = list(run.documents())
    curve = documents[2][1]["data"]["diff_1"].tolist()
    curve[1][7] = None
    documents[2][1]["data"]["diff_1"] = curve
    rows = FrameRows()
    feed(rows, None, documents)
    assert np.flatnonzero(np.isnan(rows.snapshot(1).intensity[0])).tolist() == [7]


def test_documents_are_left_as_they_are():
    run = DerivedRun(frames=1)
    documents = list(run.documents())
    before = documents[2][1]["data"]["diff_1"].copy()
    rows = FrameRows()
    feed(rows, None, documents)
    rows.snapshot(1).intensity[:] = 0
    np.testing.assert_array_equal(documents[2][1]["data"]["diff_1"], before)


def test_frames_of_the_first_shape_come_back_within_a_run():
    run = DerivedRun(frames=6)
    first = run.begin()
    one = [run.event(0), run.event(1)]
    run.ranges = (RangeExample(npt=50),)
    second = run.begin("diffractogram_2")
    other = run.event(2)
    rows = FrameRows()
    feed(rows, None, [("start", run.start), first, one[0], second, other, one[1]])
    np.testing.assert_array_equal(rows.snapshot(1).intensity, [one[1][1]["data"]["diff_1"][1]])


def test_a_frame_that_comes_again_in_another_stream_replaces_its_row():
    run = DerivedRun(frames=3)
    documents = [("start", run.start), run.begin(), run.event(0), run.event(1)]
    documents += [run.begin("diffractogram_2", {"peaks": {"max_peaks": 3}}), run.event(1)]
    rows = FrameRows()
    feed(rows, None, documents)
    assert rows.snapshot(1).seq_nums.tolist() == [1, 2]


def test_the_rows_of_all_ranges_are_kept_and_those_without_heat_map_share_their_memory(monkeypatch):
    monkeypatch.setattr("bluesky_diffractogram.views.frame_rows.HIDDEN_BYTES", 3 * 8 * (150 + 200))
    ranges = (*TWO, RangeExample(npt=150), RangeExample(npt=200))
    run = DerivedRun(ranges, 9, configuration={"buffer_size": 7})
    rows = FrameRows(seen=2)
    feed(rows, run)
    for number, kept in ((1, 7), (2, 7), (3, 3), (4, 3)):
        found = rows.snapshot(number)
        np.testing.assert_array_equal(found.intensity, curves(run, range(9 - kept, 9), number))
        assert found.first == 10 - kept
        assert found.seq_nums.tolist() == list(range(10 - kept, 10))
        np.testing.assert_allclose(found.seconds, np.arange(9 - kept, 9))
    one_row = rows.curves(rows.emptied, 8)
    assert sorted(one_row) == [1, 2, 3, 4]
    np.testing.assert_array_equal(one_row[4], [ranges[3].axis(), curves(run, [7], 4)[0]])
    assert sorted(rows.curves(rows.emptied, 4)) == [1, 2]
    assert rows.curves(rows.emptied, 2) == rows.curves(rows.emptied - 1, 8) == rows.curves(rows.emptied, 10) == {}


def test_another_size_forgets_the_rows_and_holds_whatever_documents_say():
    run = DerivedRun(frames=9, configuration={"buffer_size": 7})
    rows = FrameRows()
    documents = [("start", run.start), run.begin(), *(run.event(n) for n in range(9))]
    feed(rows, None, documents[:5])
    rows.resize(2)
    assert rows.snapshot(1) is None
    feed(rows, None, documents[5:])
    assert rows.snapshot(1).seq_nums.tolist() == [8, 9]
    rows.resize(2)
    assert len(rows.snapshot(1).intensity) == 2
    feed(rows, DerivedRun(frames=3, configuration={"buffer_size": 7}))
    assert len(rows.snapshot(1).intensity) == 2


def test_an_event_of_another_shape_leaves_the_rows_as_they_are():
    run = DerivedRun(TWO, 3)
    rows = FrameRows()
    feed(rows, None, [("start", run.start), run.begin(), run.event(0)])
    broken = run.event(1)
    broken[1]["data"]["diff_2"] = broken[1]["data"]["diff_2"][:, 1:]
    with pytest.raises(ValueError, match=r"shape of the intensities is \(149,\), expected \(150,\)"):
        feed(rows, None, [broken])
    assert [len(rows.snapshot(n).intensity) for n in (1, 2)] == [1, 1]

"""The heat-maps of the window show the buffers, whatever is done to these while frames come."""

from __future__ import annotations

import threading

import matplotlib
import numpy as np
import pytest
from documents.conftest import Collected, image, raw_run, send
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ponis import write_poni

from bluesky_diffractogram import DiffractogramCallback, DiffractogramFigure

matplotlib.use("Agg")

RANGES = ([[10, 60, 4, 16], [-5, 40, 5, 15]], [[10, 60, 4, 16], [-5, 40, 5, 12]], [[10, 60, 4, 16]])
IMAGES = [image(n) for n in range(4)]


@pytest.fixture(scope="module")
def calibration(tmp_path_factory):
    return str(write_poni(tmp_path_factory.mktemp("poni") / "a.poni", shape=(120, 130), pixel=(6e-4, 5e-4)))


@pytest.fixture(scope="module")
def figure():
    return DiffractogramFigure(heatmaps=1)


@pytest.fixture
def collected():
    return Collected()


def configuration(calibration, **settings):
    return {"calibration": calibration, "diff_ranges": RANGES[0], "diff_number": 2, "npt": 20, **settings}


def check(diff, figure):
    """Rows, their times and their frames' numbers are those of the buffers; of ranges without heat-map, too."""
    for number, buffer in enumerate(diff.buffers, 1):
        kept, rows = buffer.snapshot(), figure.rows.snapshot(number)
        if not len(kept):
            assert rows is None
            continue
        assert rows is not None
        np.testing.assert_array_equal(rows.intensity, kept.rows)
        np.testing.assert_array_equal(rows.stream.ranges[number].radial, kept.radial)
        np.testing.assert_allclose(np.diff(rows.seconds), np.diff(kept.timestamps))
        assert rows.seq_nums.tolist() == [key[2] for key in keys(buffer)]
    assert figure.rows.snapshot(len(diff.buffers) + 1) is None


def keys(buffer):
    """Of the rows, oldest first: run, stream, seq_num, frame_index."""
    return [buffer._keys[slot] for slot in buffer._order()]


class Scans:
    """Gives raw documents one by one, of one run after the other."""

    def __init__(self, diff):
        self.diff = diff
        self.documents, self.taken, self.event = None, 0, None

    def frame(self, again):
        if self.documents is None:
            self.documents = raw_run([IMAGES[n % 4] for n in range(15)], metadata={"scan_id": self.taken})
            send(self.diff, [next(self.documents), next(self.documents)])
            self.event = None
        if not (again and self.event):
            self.event = next(self.documents)
            self.taken += 1
        else:  # rewound: another frame of the same number
            name, doc = self.event
            self.event = name, {**doc, "uid": f"{doc['uid']}-", "data": {"image": IMAGES[(self.taken + 1) % 4]}}
        send(self.diff, [self.event])

    def stop(self):
        if self.documents is not None:
            send(self.diff, [list(self.documents)[-1]])
            self.documents = None


ACTIONS = st.one_of(
    st.tuples(st.just("frame"), st.booleans()),
    st.tuples(st.just("frame"), st.just(False)),
    st.tuples(st.just("reset"), st.none()),
    st.tuples(st.just("collect"), st.booleans()),
    st.tuples(st.just("show"), st.booleans()),
    st.tuples(st.just("run"), st.none()),
    st.tuples(st.just("next"), st.none()),
    st.tuples(st.just("buffer_size"), st.integers(1, 4)),
    st.tuples(st.just("diff_ranges"), st.sampled_from(RANGES)),
    st.tuples(st.just("diff_units"), st.sampled_from(["q [1/nm]", "2th [deg]"])),
    st.tuples(st.just("peaks"), st.sampled_from([{"max_peaks": 3}, {"max_peaks": 4}])),
    st.tuples(st.just("colors"), st.just(["C0", "C1"])),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ACTIONS, max_size=14), st.booleans())
@example([("frame", False), ("buffer_size", 1), ("frame", False), ("frame", False), ("buffer_size", 4)], False)
@example([("frame", False), ("diff_units", "2th [deg]"), ("diff_units", "q [1/nm]"), ("frame", False)], False)
@example([("frame", False), ("peaks", {"max_peaks": 3}), ("frame", True), ("frame", False)], False)
@example([("collect", False), ("frame", False), ("collect", True), ("frame", False), ("frame", True)], True)
def test_the_rows_are_those_of_the_buffers_after_any_sequence(calibration, figure, actions, background):
    figure.reset()
    diff = DiffractogramCallback(configuration(calibration, buffer_size=3), plot=figure, background=background)
    scans = Scans(diff)
    try:
        for name, value in actions:
            if name == "frame":
                scans.frame(value)
            elif name == "run":
                scans.stop()
            elif name in ("reset", "next"):
                getattr(diff, name)()
            elif name in ("collect", "show"):
                getattr(diff, name)(value)
            else:
                diff.configure({name: value} | ({"diff_number": len(value)} if name == "diff_ranges" else {}))
            if not background:
                check(diff, figure)
        assert diff.wait(20)
        check(diff, figure)
    finally:
        diff.close()


@pytest.fixture
def held(calibration):
    """A callback whose worker waits in the middle of the first frame, what holds it, and a run of five frames."""
    diff = DiffractogramCallback(configuration(calibration), plot=True, background=True)
    gate, started = threading.Event(), threading.Event()

    def slow(name, doc):
        if name == "event":
            started.set()
            gate.wait(20)

    diff.subscribe(slow)
    *documents, stop = raw_run([IMAGES[0]] * 5)
    send(diff, documents)
    assert started.wait(20)
    yield diff, gate, stop
    diff.close()


@pytest.mark.parametrize(
    ("command", "left"),
    [
        (lambda diff: diff.reset(), 0),
        (lambda diff: diff.collect(False), 5),
        (lambda diff: diff.configure({"buffer_size": 3}), 0),
        (lambda diff: diff.configure({"diff_units": "2th [deg]"}), 0),
    ],
)
def test_what_is_done_while_frames_wait_holds_for_buffers_and_heat_maps_alike(held, command, left):
    diff, gate, stop = held
    command(diff)
    gate.set()
    send(diff, [stop])
    assert diff.wait(20)
    assert len(diff.buffers[0]) == left
    check(diff, diff.figure)


def test_next_shows_the_last_frame_of_a_run_that_is_over_under_another_configuration(calibration, collected):
    diff = DiffractogramCallback(configuration(calibration, reset_on_start=True), plot=True, background=False)
    diff.subscribe(collected)
    send(diff, raw_run(IMAGES))
    diff.next()  # in place of its row
    check(diff, diff.figure)
    assert len(diff.buffers[0]) == 4
    documents = list(collected)
    diff.configure({"diff_units": "2th [deg]", "diff_number": 1})
    diff.next()
    diff.figure.draw()
    curves = diff.figure.curves
    assert curves.caption() == "frame 4"
    assert curves.ax.get_xlabel() == "$2\\theta$ (°)"
    assert list(curves.lines) == [1]
    np.testing.assert_array_equal(curves.lines[1].get_ydata(), diff.reduction.diffractograms[0].intensity)
    np.testing.assert_array_equal(curves.lines[1].get_xdata(), diff.reduction.diffractograms[0].radial)
    check(diff, diff.figure)
    assert collected == documents  # no run is stored for it
    assert diff.errors == {}


def test_who_is_no_window_gets_no_documents_of_next_after_a_run(calibration, collected):
    diff = DiffractogramCallback(configuration(calibration), plot=collected, background=False)
    send(diff, raw_run(IMAGES[:1]))
    documents = list(collected)
    diff.next()
    assert len(diff.buffers[0]) == 1
    assert collected == documents


def test_a_run_can_begin_with_empty_heat_maps(calibration, figure):
    figure.reset()
    diff = DiffractogramCallback(configuration(calibration, reset_on_start=True), plot=figure, background=False)
    send(diff, raw_run(IMAGES))
    send(diff, raw_run(IMAGES[:1]))
    assert len(diff.buffers[0]) == 1
    check(diff, figure)


def test_frames_of_other_axes_empty_both(tmp_path, figure):
    poni = write_poni(tmp_path / "any.poni", shape=None, pixel=(6e-4, 5e-4), centre=(60, 65))
    figure.reset()
    diff = DiffractogramCallback(
        {"calibration": str(poni), "npt": 20, "diff_ranges": [[0, 90, None, None]]}, plot=figure, background=False
    )
    small = [IMAGES[0][:100, :100], IMAGES[1][:100, :100]]
    send(diff, raw_run(IMAGES[:2]))
    check(diff, figure)
    send(diff, raw_run(small))
    check(diff, figure)
    assert len(diff.buffers[0]) in (2, 4)


def test_buffering_and_colours_follow_the_prompt_at_once(calibration):
    diff = DiffractogramCallback(configuration(calibration), plot=True, background=False)
    *documents, event, stop = raw_run(IMAGES)
    send(diff, documents)
    diff.figure.draw()
    assert diff.figure.grids[0].ax.get_visible()
    diff.configure({"buffering": False, "colors": [[255, 0, 0], [0, 0, 255]]})
    send(diff, [event, stop])
    diff.figure.draw()
    assert not diff.figure.grids[0].ax.get_visible()
    diff.configure({"buffering": True})
    diff.figure.draw()
    figure = diff.figure
    assert figure.grids[0].ax.get_visible()
    assert len(figure.grids[0].drawn.intensity) == 4
    drawn = (figure.grids[0].ax.title, figure.curves.lines[1], figure.image.outlines.labels[1])
    assert {artist.get_color() for artist in drawn} == {"#ff0000"}


def test_a_calibration_loaded_in_mid_run_gives_lines_and_spacings_of_its_own(calibration, tmp_path):
    from pathlib import Path

    other = tmp_path / "b.poni"
    text = Path(calibration).read_text()
    before = next(line for line in text.splitlines() if line.startswith("Wavelength"))
    other.write_text(text.replace(before, "Wavelength: 2e-10"))
    diff = DiffractogramCallback(
        configuration(calibration, diff_ranges=[[10, 60, 4, 40], [-5, 40, 5, 40]], diff_units="2th [deg]"),
        plot=True, background=False,
    )  # fmt: skip
    *documents, event, stop = raw_run(IMAGES)
    send(diff, documents)
    diff.figure.set_calibrant("LaB6")
    diff.configure({"calibration": str(other)})
    send(diff, [event, stop])
    diff.figure.draw()
    curves = diff.figure.curves
    at = [segment[0][0] for segment in curves._powder.artist.get_segments()]
    assert at[0] == pytest.approx(2 * np.degrees(np.arcsin(2 / (2 * 4.15682))), abs=1e-3)  # (100), a = 4.15682 Å
    assert "d 2.8794 Å" in curves.readout(2 * np.degrees(np.arcsin(1 / 2.8794)), 0)
    assert len(diff.buffers[0]) == 1
    check(diff, diff.figure)


def test_the_numbers_of_the_frames_are_those_of_the_documents(calibration):
    diff = DiffractogramCallback(configuration(calibration, collect=False), plot=True, background=False)
    documents = list(raw_run(IMAGES + IMAGES))
    send(diff, documents[:5])
    diff.collect(True)
    diff.show(False)
    send(diff, documents[5:7])
    diff.show(True)
    send(diff, documents[7:])
    figure = diff.figure
    figure.draw()
    assert figure.grids[0].drawn.seq_nums.tolist() == [6, 7, 8]
    assert figure.grids[0].ax.format_coord(20, 3).startswith("frame 8  ")
    assert figure.curves.caption() == "frame 8"
    assert figure.image.ax.get_title() == "image of frame 8"

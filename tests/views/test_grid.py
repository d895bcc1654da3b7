"""The heat-map: what its artists hold against what the documents said."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest
from bluesky.callbacks.mpl_plotting import LiveGrid
from bluesky.run_engine import Dispatcher
from derived_run_example import T0, DerivedRun, RangeExample
from event_model import DocumentNames
from matplotlib.colors import LogNorm, to_rgba
from matplotlib.figure import Figure

from bluesky_diffractogram.views.colors import OKABE_ITO
from bluesky_diffractogram.views.grid import LiveDiffractogramGrid

TWO = (RangeExample(), RangeExample((-5, 5), (2, 8), 150, (0.5,)))


def drawn(*runs, **kwargs):
    """A heat-map that has drawn `runs`."""
    grid = LiveDiffractogramGrid(**kwargs)
    for run in runs:
        run.feed(grid)
    grid.draw()
    return grid


def image(grid):
    """The image's values, NaN where masked."""
    return np.ma.filled(grid.im.get_array().astype(float), np.nan)


def emitted(run, number=1):
    """The intensities that `run` emits, ``(frames, npt)``."""
    events = (doc for name, doc in run.documents() if name == "event")
    return np.array([doc["data"][f"diff_{number}"][1] for doc in events])


def ticks(axis):
    """Texts of the major ticks that are in view."""
    low, high = sorted(axis.get_view_interval())
    pairs = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
    return [label.get_text() for at, label in pairs if low <= at <= high]


def test_the_image_is_what_was_emitted():
    run = DerivedRun(TWO, 6)
    grid = drawn(run, number=2)
    np.testing.assert_array_equal(image(grid), emitted(DerivedRun(TWO, 6), 2))
    assert isinstance(grid, LiveGrid)


def test_pixels_lie_at_their_bin_centres_and_frames():
    grid = drawn(DerivedRun(TWO, 6), number=2)
    step = 6 / 150
    assert grid.im.get_extent() == pytest.approx([2, 8, 0.5, 6.5])
    assert grid.ax.get_xlim() == pytest.approx((2, 8))
    assert grid.ax.get_ylim() == pytest.approx((0.5, 6.5))
    left, right = grid.im.get_extent()[:2]
    centres = left + (np.arange(150) + 0.5) * (right - left) / 150
    np.testing.assert_allclose(centres, TWO[1].axis(), atol=step * 1e-9)
    assert grid.im.origin == "lower"


def test_the_strongest_pixel_of_each_row_is_at_the_peak():
    run = DerivedRun((RangeExample(centres=(0.4,)),), 5, drift=0.3)
    grid = drawn(run)
    left, right = grid.im.get_extent()[:2]
    found = left + (image(grid).argmax(axis=1) + 0.5) * (right - left) / 200
    np.testing.assert_allclose(found, 10 * (0.4 + 0.3 * np.arange(5) / 4), atol=10 / 200)


def test_it_grows_and_then_scrolls():
    run = DerivedRun(frames=9)
    grid = LiveDiffractogramGrid(buffer_size=4)
    seen = []
    for name, doc in run.documents():
        grid(name, doc)
        if name == "event":
            grid.draw()
            seen.append((len(image(grid)), *grid.ax.get_ylim()))
    assert seen[0] == (1, 0.5, 1.5)
    assert seen[3] == (4, 0.5, 4.5)
    assert seen[8] == (4, 5.5, 9.5)
    np.testing.assert_array_equal(image(grid), emitted(DerivedRun(frames=9))[-4:])


def test_it_is_used_again_from_run_to_run_without_new_artists():
    grid = drawn(DerivedRun(frames=3))
    im, axes, artists = grid.im, list(grid.figure.axes), len(grid.ax.get_children())
    DerivedRun(frames=2, scan_id=13).feed(grid)
    grid.draw()
    assert grid.im is im
    assert list(grid.figure.axes) == axes
    assert len(grid.ax.get_children()) == artists
    assert len(image(grid)) == 5
    assert grid.ax.get_title() == "scan 12 [raw123] … scan 13 [raw123]\n1: χ 10…20°, q 0…10 nm⁻¹"


def test_another_axis_begins_anew_with_its_own_numbers():
    grid = drawn(DerivedRun(frames=3), DerivedRun((RangeExample(radial=(20, 50)),), 2, unit="2th_deg"))
    assert image(grid).shape == (2, 200)
    assert grid.ax.get_xlim() == pytest.approx((20, 50))
    assert grid.ax.get_ylim() == pytest.approx((0.5, 2.5))
    assert grid.ax.get_xlabel() == r"$2\theta$ (°)"
    assert grid.ax.get_title() == "scan 12 [raw123]\n1: χ 10…20°, 2θ 20…50°"


def test_a_rewound_frame_replaces_its_row():
    run = DerivedRun(frames=5)
    grid = LiveDiffractogramGrid()
    for name, doc in (("start", run.start), run.begin(), *map(run.event, range(3)), run.event(4, seq_num=2)):
        grid(name, doc)
    grid.draw()
    np.testing.assert_array_equal(image(grid), emitted(DerivedRun(frames=5))[[0, 4, 2]])


def test_gaps_are_drawn_in_a_grey_of_their_own():
    run = DerivedRun((RangeExample(gap=slice(90, 110)),), 3)
    grid = drawn(run)
    assert np.isnan(image(grid)[:, 90:110]).all()
    grey = grid.im.get_cmap()(np.ma.masked)
    assert grey[0] == grey[1] == grey[2]
    left, bottom, width, height = grid.ax.get_window_extent().bounds
    pixels = np.asarray(grid.figure.canvas.buffer_rgba())[::-1]
    assert pixels[int(bottom + height / 2), int(left + width / 2), :3] == pytest.approx(
        [round(255 * part) for part in grey[:3]], abs=1
    )


@pytest.mark.parametrize("log", [False, True])
def test_one_spike_does_not_move_the_color_limits(log):
    def spike(frame, number, intensity):
        if frame == 2:
            intensity[77] = 1e9

    clean, spoilt = (
        drawn(DerivedRun(frames=4), scale="log" if log else "linear"),
        drawn(DerivedRun(frames=4, change=spike), scale="log" if log else "linear"),
    )
    assert image(spoilt)[2, 77] == 1e9
    assert spoilt.im.get_clim() == pytest.approx(clean.im.get_clim(), rel=0.05)
    assert spoilt.im.get_clim()[1] < 1500
    assert isinstance(spoilt.im.norm, LogNorm) is log


def test_given_color_limits_are_kept():
    grid = drawn(DerivedRun(frames=4), clim=(5.0, 50.0))
    assert grid.im.get_clim() == (5.0, 50.0)


def test_zero_and_negative_values_are_the_lowest_color_of_a_logarithmic_scale_and_not_a_gap():
    def holes(frame, number, intensity):
        intensity[10:20] = 0.0
        intensity[20:30] = -5.0

    grid = drawn(DerivedRun(frames=3, change=holes), scale="log")
    shown = grid.im.get_array()[:, 10:30]
    assert not np.ma.getmaskarray(shown).any()
    assert (grid.im.to_rgba(shown) == grid.im.get_cmap()(0.0)).all()


def test_frame_numbers_label_the_rows_by_default():
    grid = drawn(DerivedRun(frames=12))
    assert grid.ax.get_ylabel() == "frame"
    assert ticks(grid.ax.yaxis) == ["2", "4", "6", "8", "10", "12"]


def test_frames_have_the_numbers_that_documents_give_them():
    run = DerivedRun(frames=200)  # of which every tenth is reduced, and one more is lost
    grid = LiveDiffractogramGrid()
    for name, doc in (("start", run.start), run.begin(), *(run.event(n) for n in range(9, 200, 10) if n != 119)):
        grid(name, doc)
    grid.draw()
    assert ticks(grid.ax.yaxis) == ["50", "100", "150", "200"]
    assert list(grid.ax.get_yticks()) == [5, 10, 14, 19]
    assert grid.ax.format_coord(5.0, 12.0).startswith("frame 130  t ")
    grid.set_row_axis("time")
    assert grid.changed()
    grid.draw()
    assert grid.ax.get_ylabel() == "time since first frame (s)"
    assert ticks(grid.ax.yaxis)[:2] == ["0", "25"]
    grid.set_row_axis("frame")
    grid.draw()
    assert grid.ax.get_ylabel() == "frame"


def test_several_frames_of_one_event_share_its_number():
    run = DerivedRun(frames=6)
    grid = LiveDiffractogramGrid()
    events = [run.event(n, seq_num=1 + n) for n in range(6)] if run.begin() else []
    for n, (_, doc) in enumerate(events):
        doc["data"] |= {"raw_seq_num": 1 + n // 3, "frame_index": n % 3}
    for name, doc in (("start", run.start), ("descriptor", run.stream.descriptor_doc), *events):
        grid(name, doc)
    grid.draw()
    assert ticks(grid.ax.yaxis) == ["1", "2"]
    assert list(grid.ax.get_yticks()) == [2, 5]
    assert grid.ax.format_coord(5.0, 6.0).startswith("frame 2[2]  ")


def test_the_carried_dimension_labels_the_rows_while_it_is_monotonic():
    def heated(frame):
        return {"temperature": 300.0 + 10 * frame}

    grid = drawn(DerivedRun(frames=11, readings=heated, reading_units={"temperature": "K"}))
    assert grid.ax.get_ylabel() == "temperature (K)"
    assert ticks(grid.ax.yaxis) == ["300", "320", "340", "360", "380", "400"]
    np.testing.assert_allclose(grid.ax.get_yticks(), [1, 3, 5, 7, 9, 11])
    DerivedRun(frames=3, readings=heated).feed(grid)  # cold again
    grid.draw()
    assert grid.ax.get_ylabel() == "frame (2 runs)"
    # rows 2, 4, …, 14: each run's frames have numbers of their own
    assert ticks(grid.ax.yaxis) == ["2", "4", "6", "8", "10", "1", "3"]
    assert len(grid._heatmap._borders.get_segments()) == 1
    assert grid._heatmap._borders.get_segments()[0][0][1] == 11.5


def test_a_dimension_that_stays_as_it_is_does_not_label_the_rows():
    assert drawn(DerivedRun(frames=5, readings=lambda frame: {"x": 1.0})).ax.get_ylabel() == "frame"


def test_seconds_since_the_first_frame_label_the_rows():
    grid = drawn(DerivedRun(frames=11, times=lambda frame: 0.5 * frame), row_axis="time")
    assert grid.ax.get_ylabel() == "time since first frame (s)"
    assert ticks(grid.ax.yaxis) == ["0", "1", "2", "3", "4", "5"]
    np.testing.assert_allclose(grid.ax.get_yticks(), [1, 3, 5, 7, 9, 11])


def test_a_named_reading_labels_the_rows_though_it_is_no_dimension():
    run = DerivedRun(frames=5, readings=lambda frame: {"pressure": 5.0 - frame}, metadata={"hints": {}})
    assert drawn(run, row_axis="pressure").ax.get_ylabel() == "pressure"
    assert drawn(DerivedRun(frames=5), row_axis="pressure").ax.get_ylabel() == "frame"


def test_a_row_axis_that_no_reading_has_is_refused_once_a_run_has_told_them():
    grid = LiveDiffractogramGrid()
    DerivedRun(frames=2, readings=lambda frame: {"pressure": float(frame)}).feed(grid)
    with pytest.raises(ValueError, match="row_axis = 'nope': expected 'auto', 'frame', 'time', pressure, or what is"):
        grid.set_row_axis("nope")
    assert grid.row_axis == "auto"
    grid.set_row_axis("pressure")
    grid.set_row_axis("peak_1_position")
    grid.draw()
    assert grid.ax.get_ylabel() == "frame"  # the rows that are there were taken without it


def test_a_row_axis_that_is_given_before_any_run_is_said_to_be_none_when_one_begins(caplog):
    grid = LiveDiffractogramGrid(row_axis="nope")
    grid.set_row_axis("nobody")
    assert caplog.records == []
    for _ in range(2):
        DerivedRun(frames=2, readings=lambda frame: {"pressure": float(frame)}).feed(grid)
    (said,) = [record.getMessage() for record in caplog.records]
    assert "row_axis = 'nobody'" in said
    assert "'time', pressure, or what is computed, such as peak_1_position" in said


@pytest.mark.parametrize(
    ("unit", "label"), [("q_nm^-1", "$q$ (nm$^{-1}$)"), ("r_pixel", "$r$ (pixel)"), ("d_A", "$d$ (Å)")]
)
def test_the_radial_axis_is_labelled_with_its_unit(unit, label):
    assert drawn(DerivedRun(unit=unit)).ax.get_xlabel() == label


def test_the_color_bar_says_intensity_with_its_unit_and_power_of_ten():
    assert drawn(DerivedRun()).colorbar.ax.get_ylabel() == "intensity (counts)"
    grid = drawn(DerivedRun(scale=3e6))
    assert grid.colorbar.ax.get_ylabel() == "intensity ($10^{6}$ counts)"
    low, high = grid.im.get_clim()
    shown = [float(text) for text in ticks(grid.colorbar.ax.yaxis)]
    assert low / 1e6 - 0.5 < min(shown) < max(shown) < high / 1e6 + 0.5


@pytest.mark.parametrize(("colors", "expected"), [(None, OKABE_ITO[1]), ([[255, 0, 0], [0, 0, 255]], "#0000ff")])
def test_title_and_frame_have_the_color_of_the_range(colors, expected):
    configuration = {} if colors is None else {"colors": colors}
    for grid in (
        drawn(DerivedRun(TWO, configuration=configuration), number=2),
        drawn(DerivedRun(TWO), number=2, colors=colors),
    ):
        assert grid.ax.title.get_color() == expected
        assert {grid.ax.spines[side].get_edgecolor() for side in grid.ax.spines} == {to_rgba(expected)}


def test_without_a_scan_number_the_title_has_the_uid():
    assert drawn(DerivedRun(scan_id=None)).ax.get_title().startswith("run raw123\n")


def test_labels_title_and_extent_can_be_given():
    grid = drawn(DerivedRun(frames=4), title="T", xlabel="X", ylabel="Y", extent=(0, 1, 10, 20))
    assert (grid.ax.get_title(), grid.ax.get_xlabel(), grid.ax.get_ylabel()) == ("T", "X", "Y")
    assert grid.im.get_extent() == [0, 1, 10, 20]
    assert grid.ax.get_ylim() == (10, 20)
    assert drawn(DerivedRun(), title="").ax.get_title() == ""


def test_the_axes_can_point_backwards():
    grid = drawn(DerivedRun(frames=4), x_positive="left", y_positive="down")
    assert grid.ax.get_xlim() == pytest.approx((10, 0))
    assert grid.ax.get_ylim() == pytest.approx((4.5, 0.5))
    assert grid.im.get_extent() == pytest.approx([0, 10, 0.5, 4.5])


def test_a_descending_axis_keeps_each_bin_at_its_place():
    class Descending(RangeExample):
        def axis(self):
            return super().axis()[::-1]

    grid = drawn(DerivedRun((Descending(centres=(0.25,)),), 2, drift=0.0))
    left, right = grid.im.get_extent()[:2]
    peak = left + (image(grid)[0].argmax() + 0.5) * (right - left) / 200
    assert peak == pytest.approx(2.5, abs=0.06)


@pytest.mark.parametrize(
    "wrong",
    [{"number": 0}, {"buffer_size": 0}, {"x_positive": "up"}, {"y_positive": "left"}, {"colors": ["no"]}],
)
def test_arguments_that_cannot_be_used_are_refused(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong)) if "colors" not in wrong else "no")):
        LiveDiffractogramGrid(**wrong)


def test_a_heat_map_larger_than_the_screen_is_averaged_there_and_complete_in_files(tmp_path):
    run = DerivedRun((RangeExample(npt=1500),), 900)
    grid = drawn(run)
    shown, (left, right, bottom, top) = image(grid), grid.im.get_extent()
    pixels = grid.ax.get_window_extent()
    assert pixels.height / 2 < len(shown) < 2 * pixels.height
    assert pixels.width / 2 < shown.shape[1] < 2 * pixels.width
    by_row, by_column = round((top - bottom) / len(shown)), round((right - left) / shown.shape[1] * 150)
    whole = emitted(DerivedRun((RangeExample(npt=1500),), 900))
    np.testing.assert_allclose(shown[3, 5], whole[3 * by_row :][:by_row, 5 * by_column :][:, :by_column].mean())
    assert grid.ax.get_xlim() == pytest.approx((0, 10))
    assert grid.ax.get_ylim() == pytest.approx((0.5, 900.5))
    grid.save(tmp_path / "grid.png")
    np.testing.assert_array_equal(image(grid), whole)
    assert grid.changed()  # the screen gets its own resolution again
    grid.draw()
    assert image(grid).shape == shown.shape


def test_a_zoom_is_kept_while_rows_come_and_shows_what_the_screen_can():
    run = DerivedRun((RangeExample(npt=1500),), 900)
    grid = LiveDiffractogramGrid()
    documents = list(run.documents())
    for name, doc in documents[:-2]:
        grid(name, doc)
    grid.draw()
    assert not grid.changed()
    grid.ax.set_xlim(2, 3)
    grid.ax.set_ylim(100, 200)
    assert grid.changed()
    grid(*documents[-2])
    grid.draw()
    assert grid.ax.get_xlim() == (2, 3)
    assert grid.ax.get_ylim() == (100, 200)
    assert image(grid).shape == (900, 1500)


def test_foreign_documents_are_ignored(caplog):
    grid = LiveDiffractogramGrid()
    run = DerivedRun(frames=2)
    documents = list(run.documents())
    del documents[0][1]["purpose"]
    for name, doc in documents:
        grid(name, doc)
    assert not grid.changed()
    assert grid.rows() is None
    assert not caplog.records


def test_the_documents_of_a_real_scan_are_ignored(caplog):
    from bluesky import RunEngine
    from bluesky.plans import count
    from ophyd.sim import det

    engine = RunEngine({})
    grid = LiveDiffractogramGrid()
    engine.subscribe(grid)
    with caplog.at_level(logging.ERROR):
        engine(count([det], 2))
    assert not caplog.records
    assert grid.rows() is None


def test_it_can_be_subscribed_to_a_bluesky_dispatcher():
    dispatcher = Dispatcher()
    grid = LiveDiffractogramGrid()
    token = dispatcher.subscribe(grid)
    for name, doc in DerivedRun(frames=3).documents():
        dispatcher.process(DocumentNames[name], doc)
    dispatcher.unsubscribe(token)
    assert len(grid.rows().intensity) == 3


def test_event_pages_are_taken_too():
    from event_model import pack_event_page

    run = DerivedRun(frames=3)
    documents = list(run.documents())
    grid = LiveDiffractogramGrid()
    for name, doc in (*documents[:2], ("event_page", pack_event_page(*(doc for _, doc in documents[2:5])))):
        grid(name, doc)
    grid.draw()
    np.testing.assert_array_equal(image(grid), emitted(DerivedRun(frames=3)))


def test_documents_may_come_from_another_thread_while_it_is_drawn():
    run = DerivedRun(TWO, 150)
    grid = LiveDiffractogramGrid(buffer_size=100)
    thread = threading.Thread(target=run.feed, args=(grid,))
    thread.start()
    while thread.is_alive():
        grid.draw()
    thread.join()
    grid.draw()
    np.testing.assert_array_equal(image(grid), emitted(DerivedRun(TWO, 150))[-100:])
    assert not grid.changed()


def test_only_news_are_drawn():
    run = DerivedRun(frames=3)
    grid = LiveDiffractogramGrid()
    grid("start", run.start)
    grid(*run.begin())
    grid.draw()
    assert not grid.changed()
    grid(*run.event(0))
    assert grid.changed()
    grid.draw()
    assert not grid.changed()


def test_reset_empties_it_and_says_so():
    grid = drawn(DerivedRun(frames=3))
    grid.reset()
    assert grid.changed()
    grid.draw()
    assert not grid.im.get_visible()
    assert [text.get_text() for text in grid.ax.texts if text.get_visible()] == ["no frames yet"]


def test_it_draws_on_given_axes_and_makes_no_figure():
    figure = Figure()
    ax, cax = figure.subplots(1, 2)
    ax.plot([1, 2])
    grid = drawn(DerivedRun(frames=3), ax=ax, cax=cax)
    assert grid.figure is figure
    assert figure.axes == [ax, cax]
    assert not ax.lines
    assert grid.colorbar.ax is cax


def test_a_frame_without_any_value_is_a_row_of_gaps():
    def nothing(frame, number, intensity):
        intensity[:] = np.nan

    grid = drawn(DerivedRun(frames=2, change=nothing))
    assert image(grid).shape == (2, 200)
    assert np.isnan(image(grid)).all()


def test_a_single_bin_is_as_wide_as_its_range():
    grid = drawn(DerivedRun((RangeExample(radial=(2, 8), npt=1),), 2))
    assert grid.ax.get_xlim() == (2, 8)
    assert grid.im.get_extent() == [2, 8, 0.5, 2.5]


def test_times_are_those_of_the_frames():
    run = DerivedRun(frames=2, t0=T0)
    grid = LiveDiffractogramGrid()
    documents = list(run.documents())
    for _, doc in documents[2:4]:
        doc["time"] += 50.0  # of the event, when all frames of it were read
    documents[3][1]["time"] += 7.0
    for name, doc in documents:
        grid(name, doc)
    np.testing.assert_allclose(grid.rows().seconds, [0.0, 1.0])

"""The window: panels that come and go with the ranges, and that nothing in it overlaps."""

from __future__ import annotations

import itertools
import threading
import weakref

import matplotlib.image
import numpy as np
import pytest
from derived_run_example import T0, DerivedRun, RangeExample
from matplotlib import pyplot as plt
from offered_frames import offered
from overlapping_texts import overlaps, texts

from bluesky_diffractogram.views import DiffractogramFigure
from bluesky_diffractogram.views.colors import OKABE_ITO

WIDE = [RangeExample((-175 + 10 * n, -165 + 10 * n), (11.43, 43.21), 300, (0.2, 0.5)) for n in range(12)]


def drawn(*runs, **kwargs):
    """A figure that has drawn `runs`."""
    figure = DiffractogramFigure(**kwargs)
    for run in runs:
        run.feed(figure)
    figure.draw()
    return figure


def shown(figure):
    """The numbers of the heat-maps that can be seen."""
    return [grid.number for grid in figure.grids if grid.ax.get_visible()]


def test_there_is_a_heat_map_for_each_of_the_first_ranges_and_a_line_for_all():
    for ranges, expected in ((1, [1]), (2, [1, 2]), (4, [1, 2, 3, 4]), (12, [1, 2, 3, 4])):
        figure = drawn(DerivedRun(WIDE[:ranges], 2))
        assert shown(figure) == expected
        assert len(figure.curves.lines) == ranges


@pytest.mark.parametrize("heatmaps", [0, 2])
def test_the_number_of_heat_maps_can_be_limited(heatmaps):
    figure = drawn(DerivedRun(WIDE[:4], 2), heatmaps=heatmaps)
    assert shown(figure) == [1, 2][:heatmaps]
    assert len(figure.curves.lines) == 4


def test_a_negative_number_of_heat_maps_is_refused():
    with pytest.raises(ValueError, match="heatmaps = -1"):
        DiffractogramFigure(heatmaps=-1)


def test_without_buffering_there_are_curves_only():
    figure = drawn(DerivedRun(WIDE[:2], 2, configuration={"buffering": False}))
    assert shown(figure) == []
    assert figure.curves.ax.get_position().height > 0.8


def test_panels_hold_what_was_emitted():
    run = DerivedRun(WIDE[:3], 5)
    figure = drawn(run)
    events = [doc["data"] for name, doc in DerivedRun(WIDE[:3], 5).documents() if name == "event"]
    for grid in figure.grids[:3]:
        rows = np.array([data[f"diff_{grid.number}"][1] for data in events])
        np.testing.assert_array_equal(np.asarray(grid.im.get_array()), rows)
        line = figure.curves.lines[grid.number]
        np.testing.assert_array_equal(line.get_xydata().T, events[-1][f"diff_{grid.number}"])


def test_a_range_has_one_color_in_all_panels():
    figure = drawn(DerivedRun(WIDE[:2], 2, configuration={"colors": [[1, 2, 3], [250, 0, 0]]}))
    for grid, color in zip(figure.grids[:2], ("#010203", "#fa0000"), strict=True):
        assert grid.ax.title.get_color() == figure.curves.lines[grid.number].get_color() == color
    plain = drawn(DerivedRun(WIDE[:2], 2))
    assert [grid.ax.title.get_color() for grid in plain.grids[:2]] == list(OKABE_ITO[:2])


def test_the_heading_names_run_frame_and_readings():
    def heated(frame):
        return {"temperature": 300.0 + frame}

    figure = drawn(DerivedRun(WIDE[:2], 3, readings=heated, reading_units={"temperature": "K"}))
    assert figure.figure.get_suptitle() == "scan 12 [raw123]  ·  frame 3  ·  temperature 302 K"
    DerivedRun(WIDE[:2], 2, scan_id=13, raw_uid="other678").feed(figure)
    figure.draw()
    assert figure.figure.get_suptitle() == "scan 12 [raw123] … scan 13 [other6]  ·  frame 2"
    figure.reset()
    DerivedRun(WIDE[:2], 1, scan_id=14).feed(figure)
    figure.draw()
    assert figure.figure.get_suptitle() == "scan 14 [raw123]  ·  frame 1"


def test_one_figure_is_used_from_run_to_run():
    figure = drawn(DerivedRun(WIDE[:4], 3))
    axes, artists = list(figure.figure.axes), len(figure.figure.findobj())
    for ranges, unit in ((1, "r_pixel"), (2, "2th_deg"), (4, "q_nm^-1")):
        DerivedRun(WIDE[:ranges], 3, unit=unit).feed(figure)
        figure.draw()
        assert shown(figure) == [1, 2, 3, 4][:ranges]
        assert [grid.colorbar.ax.get_visible() for grid in figure.grids] == [n < ranges for n in range(4)]
        assert {grid.ax.get_xlabel() for grid in figure.grids[:ranges]} == {figure.curves.ax.get_xlabel()}
    assert list(figure.figure.axes) == axes
    # ticks come and go; anything that leaked with each run would be more
    assert len(figure.figure.findobj()) < 1.2 * artists


def test_nothing_is_kept_of_a_figure_that_is_gone():
    figure = drawn(DerivedRun(WIDE[:2], 3))
    gone = weakref.ref(figure.figure)
    del figure
    import gc

    gc.collect()
    assert gone() is None


def test_only_the_first_panel_labels_the_rows():
    figure = drawn(DerivedRun(WIDE[:3], 12))
    labels = [[label.label1.get_visible() for label in grid.ax.yaxis.get_major_ticks()] for grid in figure.grids[:3]]
    assert all(labels[0])
    assert not any(itertools.chain(*labels[1:]))
    assert [grid.ax.get_ylabel() for grid in figure.grids[:3]] == ["frame", "", ""]


@pytest.mark.parametrize("size", [(10.0, 7.0), (19.2, 10.8)])
@pytest.mark.parametrize(
    ("ranges", "scale", "main"),
    [
        *((ranges, scale, None) for ranges, scale in ((1, 3e7), (2, 2e3), (3, 1e-3), (4, 3e7), (6, 2e3), (12, 2e3))),
        *((ranges, scale, "image") for ranges, scale in ((1, 3e7), (4, 1e-3), (12, 2e3))),
        *((ranges, scale, "buffer 1") for ranges, scale in ((2, 2e3), (4, 3e7))),
    ],
)
def test_no_text_overlaps_another_nor_leaves_the_figure(size, ranges, scale, main):
    run = DerivedRun(
        WIDE[:ranges],
        12,
        scale=scale,
        readings=lambda frame: {"temperature": 300 + 7.7 * frame, "position": 0.1 * frame},
        reading_units={"temperature": "K", "position": "mm"},
    )
    figure = drawn(run, figsize=size)
    if main is not None:
        figure.set_main_plot(main)
        figure.offer(offered(np.random.default_rng(0).poisson(scale, (300, 280)), seq_num=12))
        figure.draw()
    assert len(texts(figure)) > 20
    assert overlaps(figure) == ([], [])


def test_a_resized_window_is_laid_out_anew():
    figure = drawn(DerivedRun(WIDE[:2], 3))
    before = figure.curves.ax.get_position().bounds
    figure.figure.set_size_inches(20, 14)
    from matplotlib.backend_bases import ResizeEvent

    ResizeEvent("resize_event", figure.figure.canvas)._process()
    after = figure.curves.ax.get_position().bounds
    assert after[0] == pytest.approx(before[0] / 2)
    assert after[2] > before[2]


def test_panels_of_a_resized_window_are_drawn_for_their_new_size():
    """As many pixels, and as many positions of peaks, as there is room for; no other frame need come."""
    from matplotlib.backend_bases import ResizeEvent

    figure = DiffractogramFigure(figsize=(5, 4))
    DerivedRun([RangeExample(centres=tuple(np.linspace(0.05, 0.85, 14)))], 2).feed(figure)
    figure.offer(offered(np.ones((300, 300), np.uint32)))
    figure.draw()
    assert figure.image.im.get_array().shape < (300, 300)
    assert len(figure.curves._labels.texts()) < 14
    figure.figure.set_size_inches(14, 12)
    ResizeEvent("resize_event", figure.figure.canvas)._process()
    assert figure.changed()
    figure.draw()
    assert figure.image.im.get_array().shape == (300, 300)
    assert len(figure.curves._labels.texts()) == 14


def test_saving_needs_no_drawing_before_and_writes_what_has_come(tmp_path):
    figure = DiffractogramFigure(figsize=(6, 4))
    figure.save(tmp_path / "empty.png", dpi=50)
    DerivedRun(WIDE[:2], 5).feed(figure)
    figure.save(tmp_path / "full.png", dpi=50)
    empty, full = (matplotlib.image.imread(tmp_path / name) for name in ("empty.png", "full.png"))
    assert empty.shape == full.shape == (200, 300, 4)
    assert np.abs(empty - full).max() > 0.5
    figure.save(tmp_path / "full.pdf")
    assert (tmp_path / "full.pdf").read_bytes().startswith(b"%PDF")


def test_documents_may_come_from_another_thread_while_it_is_drawn():
    run = DerivedRun(WIDE[:2], 120, configuration={"buffer_size": 50})
    figure = DiffractogramFigure()
    thread = threading.Thread(target=run.feed, args=(figure,))
    thread.start()
    while thread.is_alive():
        figure.draw()
    thread.join()
    figure.draw()
    assert not figure.changed()
    assert figure.grids[1].ax.get_ylim() == (70.5, 120.5)


def test_news_of_a_hidden_panel_are_no_reason_to_draw():
    figure = drawn(DerivedRun(WIDE[:4], 2))
    DerivedRun(WIDE[:1], 2).feed(figure)
    figure.draw()
    assert not figure.changed()


def test_heat_maps_and_curves_are_of_the_same_run_where_two_at_once_have_different_units():
    one, two = DerivedRun(frames=3), DerivedRun(frames=3, unit="2th_deg", scan_id=13)
    figure = DiffractogramFigure()
    for name, doc in (("start", one.start), one.begin(), ("start", two.start), two.begin()):
        figure(name, doc)
    for n in range(3):
        figure(*two.event(n))
        figure(*one.event(n))
    figure.draw()
    assert figure.curves.ax.get_xlabel() == figure.grids[0].ax.get_xlabel() == r"$2\theta$ (°)"
    assert figure.figure.get_suptitle() == "scan 13 [raw123]  ·  frame 3"
    figure(*two.stop())
    figure(*one.event(2))  # goes on alone
    figure.draw()
    assert figure.curves.ax.get_xlabel() == figure.grids[0].ax.get_xlabel() == "$q$ (nm$^{-1}$)"


def test_foreign_runs_are_ignored():
    documents = list(DerivedRun(frames=2).documents())
    del documents[0][1]["purpose"]
    figure = DiffractogramFigure()
    figure.draw()
    for name, doc in documents:
        figure(name, doc)
    assert not figure.changed()


def test_collect_freeze_and_clear_reach_the_panels():
    figure = drawn(DerivedRun(WIDE[:2], 3))
    figure.collect(False)
    figure.freeze()
    DerivedRun(WIDE[:2], 3, t0=T0 + 50).feed(figure)
    figure.draw()
    assert len(figure.grids[0].rows().intensity) == 3
    assert len(figure.curves.ax.lines) == 6
    figure.clear()
    figure.draw()
    assert len(figure.curves.ax.lines) == 4


def test_a_window_redraws_itself_and_stops_when_it_is_closed(live_backend):
    figure = DiffractogramFigure()
    canvas = figure.figure.canvas
    assert canvas.manager.title == "Diffractograms"
    assert len(live_backend.TIMERS) == 1
    live_backend.fire_timers()
    drawn_before = canvas.drawn
    thread = threading.Thread(target=DerivedRun(WIDE[:2], 3).feed, args=(figure,))
    thread.start()
    thread.join()
    assert canvas.drawn == drawn_before  # never by who brings the data
    figure._clock._rest_until = figure._clock._complete_from = 0.0
    live_backend.fire_timers()
    assert canvas.drawn == drawn_before + 1
    assert len(figure.grids[0].im.get_array()) == 3
    figure.show()
    assert live_backend.FakeManager.shown.pop() is canvas.manager
    plt.close(figure.figure)
    assert not live_backend.TIMERS
    DerivedRun(WIDE[:2], 3).feed(figure)


def test_the_image_is_the_main_panel_when_there_is_one():
    figure = drawn(DerivedRun(WIDE[:2], 2), figsize=(14, 8))
    assert figure.main_plot == "image"
    assert not figure.image.ax.get_visible()
    alone = figure.grids[0].ax.get_position()
    figure.offer(offered())
    figure.draw()
    assert figure.image.ax.get_visible()
    assert shown(figure) == [1, 2]
    image, first = figure.image.ax.get_position(), figure.grids[0].ax.get_position()
    assert image.x0 == alone.x0
    assert image.width > first.width
    assert (image.y0, image.y1) == pytest.approx((first.y0, first.y1))
    box = figure.image.ax.get_window_extent()
    assert box.width / box.height == pytest.approx(figure.image.ratio)


def test_the_main_panel_can_be_a_heat_map():
    figure = drawn(DerivedRun(WIDE[:3], 2), figsize=(14, 8))
    figure.offer(offered())
    figure.draw()
    figure.set_main_plot("buffer 2")
    assert figure.changed()
    figure.draw()
    assert figure.main_plot == "buffer 2"
    assert not figure.image.ax.get_visible()
    assert not figure.image.colorbar.ax.get_visible()
    one, two, three = (grid.ax.get_position() for grid in figure.grids[:3])
    assert two.x0 < one.x0 < three.x0
    assert two.width > 2 * one.width
    assert [grid.ax.get_ylabel() for grid in figure.grids[:3]] == ["", "frame", ""]
    figure.set_main_plot("image")
    figure.draw()
    assert figure.image.ax.get_visible()
    assert figure.image.colorbar.ax.get_visible()
    assert [grid.ax.get_ylabel() for grid in figure.grids[:2]] == ["frame", ""]
    with pytest.raises(ValueError, match="main_plot = 'movie'"):
        figure.set_main_plot("movie")
    assert figure.main_plot == "image"


def test_the_configuration_of_the_run_says_what_the_main_panel_shows():
    figure = drawn(DerivedRun(WIDE[:3], 2, configuration={"main_plot": "buffer 3"}))
    assert figure.main_plot == "buffer 3"
    assert figure.grids[2].ax.get_position().x0 < figure.grids[0].ax.get_position().x0
    figure.set_main_plot("image")
    DerivedRun(WIDE[:3], 2, configuration={"main_plot": "buffer 3"}).feed(figure)
    assert figure.main_plot == "image"


def test_a_heat_map_beyond_the_first_ones_shows_what_there_was_when_it_is_asked_for():
    run = DerivedRun(WIDE[:6], 9)
    figure = DiffractogramFigure(heatmaps=2)
    documents = list(run.documents())
    for name, doc in documents[:4]:
        figure(name, doc)
    figure.draw()
    figure.set_main_plot("buffer 6")
    figure.draw()
    assert [grid.number for grid in figure.grids] == [1, 2, 6]
    assert len(figure.grids[2].drawn.intensity) == 2
    for name, doc in documents[4:]:
        figure(name, doc)
    figure.draw()
    expected = [doc["data"]["diff_6"][1] for name, doc in documents if name == "event"]
    np.testing.assert_array_equal(figure.grids[2].drawn.intensity, expected)
    assert len(figure.grids[0].rows().intensity) == 9
    figure.set_main_plot("buffer 5")
    figure.draw()
    assert [grid.number for grid in figure.grids] == [1, 2, 5]
    assert len(figure.figure.axes) == 11


def test_without_heat_maps_image_and_curves_share_the_window():
    figure = drawn(DerivedRun(WIDE[:2], 2, configuration={"buffering": False}))
    figure.offer(offered())
    figure.draw()
    assert shown(figure) == []
    assert figure.image.ax.get_visible()


def test_beside_the_image_there_are_as_many_heat_maps_as_have_room():
    for size, expected in (((6.0, 5.0), []), ((10.0, 7.0), [1]), ((19.2, 10.8), [1, 2, 3, 4])):
        figure = drawn(DerivedRun(WIDE[:4], 2), figsize=size)
        figure.offer(offered(np.ones((300, 300), np.uint32)))
        figure.draw()
        assert shown(figure) == expected


def test_nothing_of_hidden_panels_is_drawn():
    figure = drawn(DerivedRun(WIDE[:2], 2))
    figure.set_main_plot("buffer 1")
    figure.draw()
    figure.offer(offered())
    figure.draw()
    assert not figure.changed()
    assert np.ma.getmaskarray(figure.image.im.get_array()).all()


def test_scale_and_percentiles_reach_all_panels():
    figure = drawn(DerivedRun(WIDE[:2], 5), figsize=(14, 8))
    figure.offer(offered())
    for scale in ("log", "sqrt", "linear"):
        figure.set_scale(scale)
        figure.draw()
        norms = {type(grid.im.norm).__name__ for grid in figure.grids[:2]} | {type(figure.image.im.norm).__name__}
        assert norms == {{"log": "LogNorm", "sqrt": "PowerNorm", "linear": "Normalize"}[scale]}
        assert figure.curves.ax.get_yscale() == {"log": "log", "sqrt": "function", "linear": "linear"}[scale]
    rows = np.array([figure.grids[0].rows().intensity])
    figure.set_percentiles(10, 90)
    figure.draw()
    assert figure.grids[0].im.get_clim() == pytest.approx(tuple(np.percentile(rows, (10, 90))), rel=0.05)
    with pytest.raises(ValueError, match="percentiles"):
        figure.set_percentiles(90, 10)
    with pytest.raises(ValueError, match="scale"):
        figure.set_scale("cubic")


def test_lines_of_a_calibrant_are_drawn_over_curves_and_image():
    figure = drawn(DerivedRun(WIDE[:2], 2))
    figure.offer(offered())
    with pytest.raises(ValueError, match="CeO2"):
        figure.set_calibrant("CeO3")
    figure.set_calibrant("CeO2")
    figure.draw()
    lines = figure.curves._powder.artist.get_segments()
    # fluorite, a = 5.4115 Å: q of (111), (200), (220) in 1/nm
    expected = 20 * np.pi / 5.4115 * np.sqrt([3, 4, 8])
    np.testing.assert_allclose([line[0][0] for line in lines][:3], expected, rtol=1e-4)
    assert figure.image._rings.artists
    assert figure.curves.ax.get_legend().get_texts()[-1].get_text() == "CeO2"
    limits = figure.curves.ax.get_xlim()
    figure.set_calibrant(None)
    figure.draw()
    assert figure.curves.ax.get_xlim() == limits
    assert figure.curves._powder.artist is None
    assert not figure.image._rings.artists
    assert "CeO2" not in [text.get_text() for text in figure.curves.ax.get_legend().get_texts()]


def test_room_can_be_kept_free_for_controls():
    figure = drawn(DerivedRun(WIDE[:2], 2))
    before = figure.curves.ax.get_position()
    assert figure.layout.row is None
    figure.set_strip(height=1.0)
    figure.draw()
    row = figure.layout.row
    assert row[3] * 7 == pytest.approx(1.0)
    after = figure.curves.ax.get_position()
    assert after.y0 - before.y0 == pytest.approx(1.1 / 7)
    assert row[1] + row[3] < after.y0 - 0.5 / 7
    figure.set_strip(width=2.0)
    column = figure.layout.column
    assert column[2] * 10 == pytest.approx(2.0)
    assert figure.curves.ax.get_position().x1 <= column[0]
    figure.set_strip()
    assert figure.curves.ax.get_position().bounds == before.bounds


def window_picture(figure):
    """What the window shows."""
    return np.asarray(figure.figure.canvas.buffer_rgba()).astype(int)


def test_a_quick_drawing_shows_what_a_complete_one_would(live_backend):
    figure, run = DiffractogramFigure(), DerivedRun(WIDE[:2], 40, drift=0.05, configuration={"buffering": False})
    documents = list(run.documents())
    for name, doc in documents[:20]:
        figure(name, doc)
    figure.offer(offered(seq_num=18))
    figure.draw()
    figure.draw()
    before, complete = window_picture(figure), figure.figure.canvas.drawn
    for name, doc in documents[20:23]:
        figure(name, doc)
    figure.offer(offered(np.random.default_rng(8).poisson(100, (120, 160)).astype(np.uint32), seq_num=21))
    figure.draw_quickly()
    assert figure.figure.canvas.drawn == complete
    assert not figure.changed()
    quick = window_picture(figure)
    assert (np.abs(quick - before).max(axis=2) > 60).sum() > 500
    figure.draw()
    # the anti-aliased rims of what is drawn over itself may differ a little
    assert (np.abs(window_picture(figure) - quick).max(axis=2) > 60).sum() < 20


def test_a_quick_drawing_leaves_to_a_complete_one_what_it_cannot_do(live_backend):
    figure = DiffractogramFigure()
    DerivedRun(WIDE[:2], 2).feed(figure)
    figure.draw_quickly()  # nothing was drawn yet
    assert figure.changed()
    figure.draw()
    complete = figure.figure.canvas.drawn
    DerivedRun(WIDE[:2], 2, scale=50_000.0, t0=T0 + 9).feed(figure)
    figure.draw_quickly()
    assert figure.changed()
    assert figure.figure.canvas.drawn == complete
    figure.draw()
    assert not figure.changed()
    assert figure.curves.ax.get_ylim()[1] > 40_000


def test_files_of_a_window_hold_what_moves(live_backend, tmp_path):
    figure = DiffractogramFigure(figsize=(8, 6))
    DerivedRun(WIDE[:2], 4).feed(figure)
    figure.offer(offered())
    figure.draw()
    figure.save(tmp_path / "window.png", dpi=100)
    alone = DiffractogramFigure(figsize=(8, 6))
    DerivedRun(WIDE[:2], 4).feed(alone)
    alone.offer(offered())
    plt.switch_backend("Agg")
    alone.save(tmp_path / "file.png", dpi=100)
    one, other = (matplotlib.image.imread(tmp_path / name) for name in ("window.png", "file.png"))
    assert np.abs(one - other).max() < 0.2


def test_a_figure_may_do_without_images():
    figure = drawn(DerivedRun(WIDE[:2], 2), images=False)
    figure.offer(offered())
    figure.draw()
    assert not figure.image.ax.get_visible()
    assert figure.image.frame is None


def test_frames_are_not_kept_for_a_window_that_is_closed(live_backend):
    figure = DiffractogramFigure()
    figure.close()
    figure.offer(offered())
    assert figure.image.frame is None


@pytest.mark.parametrize("heatmaps", [0, 2])
def test_a_row_axis_that_is_none_is_refused_and_nothing_changed(heatmaps):
    figure = DiffractogramFigure(heatmaps=heatmaps)
    figure.set_row_axis("of the first run")
    DerivedRun(frames=2).feed(figure)
    with pytest.raises(ValueError, match="row_axis = 'nope': expected 'auto', 'frame', 'time'"):
        figure.set_row_axis("nope")
    assert {grid.row_axis for grid in figure.grids} <= {"of the first run"}

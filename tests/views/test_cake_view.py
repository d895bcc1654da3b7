"""The cake in the window and on its own: what is drawn where, and that it follows what comes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from derived_run_example import CakeExample, DerivedRun, RangeExample
from offered_frames import offered
from overlapping_texts import overlaps

from bluesky_diffractogram import LiveCake
from bluesky_diffractogram.views import DiffractogramFigure
from bluesky_diffractogram.views.colors import OKABE_ITO

RANGES = [
    RangeExample((10, 40), (2.0, 8.0)), RangeExample((160, 200), (1.0, 9.0)), RangeExample((-180, 180), (0.0, 10.0)),
]  # fmt: skip
MAIN = {"main_plot": "cake"}


def caked(ranges=RANGES, frames=2, cake=None, **settings):
    return DerivedRun(ranges, frames, cake=CakeExample() if cake is None else cake, **settings)


def drawn(view, *runs):
    for run in runs:
        run.feed(view)
    view.draw()
    return view


def test_it_shows_the_latest_cake_on_axes_of_radial_value_and_azimuth():
    run = caked()
    view = drawn(LiveCake(), run)
    np.testing.assert_array_equal(view.im.get_array().filled(np.nan), run.cake.image(1))
    assert view.im.get_extent() == pytest.approx((0.0, 10.0, -180.0, 180.0))
    assert view.ax.get_xlabel() == "$q$ (nm$^{-1}$)"
    assert view.ax.get_ylabel() == "azimuth χ (°)"
    assert view.colorbar.ax.get_ylabel() == "intensity (counts)"
    assert view.ax.get_title() == "cake of frame 2"
    assert view.im.get_cmap().name == "viridis"
    assert view.im.get_cmap().get_bad().tolist() == [*view.ax.get_facecolor()]  # empty bins look like what is around


def test_documents_that_went_through_json_show_the_same():
    run = caked()
    view = LiveCake()
    for name, doc in run.documents():
        view(name, json.loads(json.dumps(doc, default=lambda array: array.tolist()).replace("NaN", "null")))
    view.draw()
    np.testing.assert_array_equal(view.im.get_array().filled(np.nan), run.cake.image(1))


def test_runs_without_a_cake_are_passed_over_and_what_is_shown_stays():
    view = drawn(LiveCake(), DerivedRun(RANGES, 2))
    assert not view.im.get_visible()
    drawn(view, caked())
    drawn(view, DerivedRun(RANGES, 2))
    assert view.im.get_visible()
    assert view.ax.get_title() == "cake of frame 2"


def test_a_cake_of_another_shape_than_the_stream_says_is_refused_and_the_last_one_stays():
    run, view = caked(), LiveCake()
    documents = list(run.documents())
    for name, doc in documents[:3]:
        view(name, doc)
    name, wrong = documents[3]
    with pytest.raises(ValueError, match=r"shape \(36, 50\) was expected, \(50, 36\)"):
        view(name, {**wrong, "data": {**wrong["data"], "cake": run.cake.image(1).T}})
    view.draw()
    assert view.ax.get_title() == "cake of frame 1"


@pytest.mark.parametrize("scale", ["linear", "sqrt", "log"])
def test_scales_and_percentiles_are_those_of_heat_maps(scale):
    run = caked()
    view = drawn(LiveCake(scale=scale, percentiles=(10, 90)), run)
    assert type(view.im.norm).__name__ == {"log": "LogNorm", "sqrt": "PowerNorm", "linear": "Normalize"}[scale]
    valid = run.cake.image(1)[np.isfinite(run.cake.image(1))]
    assert view.im.get_clim() == pytest.approx(np.percentile(valid, (10, 90)), rel=0.05)
    view.set_percentiles(0, 100)
    view.set_scale("linear")
    assert view.changed()
    view.draw()
    assert view.im.get_clim() == pytest.approx((valid.min(), valid.max()))
    with pytest.raises(ValueError, match="scale"):
        view.set_scale("cubic")
    with pytest.raises(ValueError, match="percentiles"):
        view.set_percentiles(9, 3)


def test_ranges_are_rectangles_in_their_colours_and_one_across_180_degrees_is_two():
    view = drawn(LiveCake(), caked())
    assert view.ranges.rectangles == {
        1: [(2.0, 10.0, 8.0, 40.0)],
        2: [(1.0, 160.0, 9.0, 180.0), (1.0, -180.0, 9.0, -160.0)],
        3: [(0.0, -180.0, 10.0, 180.0)],
    }
    assert [label.get_color() for label in view.ranges.labels.values()] == list(OKABE_ITO[:3])
    view.set_colors(["red"])
    view.draw()
    assert {label.get_color() for label in view.ranges.labels.values()} == {"#ff0000"}


def test_of_a_range_there_is_what_the_cake_has_of_it():
    cake = CakeExample(radial=(3.0, 5.0), azimuth=(0.0, 90.0))
    view = drawn(LiveCake(), caked(cake=cake))
    assert view.ranges.rectangles == {1: [(3.0, 10.0, 5.0, 40.0)], 2: [], 3: [(3.0, 0.0, 5.0, 90.0)]}
    assert list(view.ranges.labels) == [1, 3]


def test_lines_of_a_powder_are_upright_in_q():
    figure = drawn(DiffractogramFigure(), caked(configuration=MAIN, cake=CakeExample(radial=(10.0, 60.0))))
    figure.set_calibrant("CeO2")
    figure.draw()
    (lines,) = figure.cake._powder.artists
    expected = 20 * np.pi / 5.4115 * np.sqrt([3, 4, 8])  # fluorite: (111), (200), (220)
    np.testing.assert_allclose(
        [line[:, 0] for line in lines.get_segments()[:3]], expected[:, None] * np.ones(181), 1e-4
    )
    figure.set_calibrant(None)
    figure.draw()
    assert not figure.cake._powder.artists


def test_the_readout_tells_radial_value_azimuth_d_and_intensity():
    run = caked()
    view = drawn(LiveCake(), run)
    # the bin at radial 3.5 ± 0.1, χ 15 ± 5
    assert view.readout(3.45, 13.0) == f"q 3.5 nm⁻¹  χ 15.00°  d 17.9520 Å  I {run.cake.image(1)[19, 17]:.6g}"
    assert view.readout(9.5, -170.0).endswith("no valid pixel")
    assert view.readout(11.0, 13.0) == ""
    assert view.readout(3.5, 200.0) == ""


def test_a_zoom_stays_with_the_next_frame_and_goes_with_another_unit():
    run, view = caked(), LiveCake()
    documents = list(run.documents())
    for name, doc in documents[:3]:
        view(name, doc)
    view.draw()
    view.ax.set_xlim(2, 4)
    view.ax.set_ylim(0, 90)
    view(*documents[3])
    view.draw()
    assert (view.ax.get_xlim(), view.ax.get_ylim()) == ((2, 4), (0, 90))
    drawn(view, caked(unit="2th_deg"))
    assert view.ax.get_xlim()[1] > 10


def test_more_bins_than_pixels_become_means_on_the_screen_and_are_all_in_a_file(tmp_path):
    cake = CakeExample(shape=(1200, 2000))
    view = drawn(LiveCake(), caked(cake=cake))
    rows, columns = view.im.get_array().shape
    assert (rows, columns) < (1200, 2000)
    view.save(tmp_path / "cake.png")
    assert view.im.get_array().shape == (1200, 2000)


def test_it_is_the_main_panel_where_the_configuration_says_so():
    figure = drawn(DiffractogramFigure(), caked(configuration=MAIN))
    figure.offer(offered())
    figure.draw()
    assert figure.main_plot == "cake"
    assert figure.main_plots() == ("image", "cake", "buffer 1", "buffer 2", "buffer 3")
    assert figure.cake.ax.get_visible()
    assert not figure.image.ax.get_visible()
    assert [grid.number for grid in figure.grids if grid.ax.get_visible()] == [1]
    assert figure.grids[0].ax.get_ylabel() == "frame"
    figure.set_main_plot("image")
    figure.draw()
    assert figure.image.ax.get_visible()
    assert not figure.cake.ax.get_visible()
    assert not figure.cake.colorbar.ax.get_visible()
    figure.set_main_plot(" cake ")
    figure.draw()
    assert figure.cake.ax.get_visible()
    assert figure.cake.colorbar.ax.get_visible()


def test_without_a_cake_it_cannot_be_chosen():
    figure = drawn(DiffractogramFigure(), DerivedRun(RANGES, 2))
    assert "cake" not in figure.main_plots()
    with pytest.raises(ValueError, match="main_plot = 'cake': allowed: 'image', 'buffer 1', 'buffer 2', 'buffer 3'"):
        figure.set_main_plot("cake")
    figure.set_cake(True)
    figure.set_main_plot("cake")
    assert figure.main_plots()[:2] == ("image", "cake")
    figure.set_cake(False)
    assert figure.main_plot == "image"


def test_a_run_without_a_cake_brings_the_image_back():
    figure = drawn(DiffractogramFigure(), caked(configuration=MAIN))
    figure.offer(offered())
    figure.set_main_plot("cake")
    drawn(figure, DerivedRun(RANGES, 2))
    assert figure.image.ax.get_visible()
    assert not figure.cake.ax.get_visible()
    drawn(figure, caked())
    assert figure.cake.ax.get_visible()


def test_nothing_of_a_hidden_cake_is_drawn():
    figure = drawn(DiffractogramFigure(), caked())
    assert not figure.cake.im.get_visible()
    figure.set_main_plot("cake")
    figure.draw()
    assert figure.cake.im.get_visible()


def test_a_cake_is_drawn_quickly_between_complete_drawings(live_backend):
    figure = DiffractogramFigure()
    run = caked(frames=4, configuration=MAIN)
    documents = list(run.documents())
    for name, doc in documents[:3]:
        figure(name, doc)
    figure.draw()
    complete = figure.figure.canvas.drawn
    figure.draw_quickly()
    figure(*documents[3])
    figure.draw_quickly()
    assert figure.cake.ax.get_title() == "cake of frame 2"
    np.testing.assert_array_equal(figure.cake.im.get_array().filled(np.nan), run.cake.image(1))
    assert figure.figure.canvas.drawn == complete


MANY = [RangeExample((-180 + 10 * n, -170 + 10 * n)) for n in range(36)]


@pytest.mark.parametrize(
    ("size", "ranges"), [((10.0, 7.0), RANGES), ((19.2, 10.8), RANGES), ((10.0, 7.0), MANY), ((12.0, 4.0), MANY)]
)
def test_no_text_lies_on_another(size, ranges):
    figure = drawn(DiffractogramFigure(size), caked(ranges, configuration=MAIN))
    figure.draw()
    outside, pairs = overlaps(figure)
    assert outside == []
    assert pairs == []
    assert figure.cake.ranges.labels

"""A figure with controls, a real callback behind it: dragging, picking, following."""

from __future__ import annotations

import numpy as np
import pytest
from controls_example import Person
from documents.conftest import image, raw_run, send
from matplotlib.backend_bases import MouseEvent
from overlapping_texts import overlaps, texts
from ponis import write_poni

from bluesky_diffractogram import DiffractogramCallback

TILT = (0.1, -0.15, 0.4)


@pytest.fixture
def diff(tmp_path):
    poni = write_poni(tmp_path / "tilted.poni", shape=(120, 130), pixel=(6e-4, 5e-4), rot=TILT)
    made = DiffractogramCallback(
        {"calibration": str(poni), "diff_ranges": [[10, 50, 4, 9], [170, 190, 8, 12]], "npt": 150},
        plot=True, background=False,
    )  # fmt: skip
    made.figure.add_controls(made)
    yield made
    made.close()


@pytest.fixture
def person(diff):
    send(diff, raw_run([image(n) for n in range(4)]))
    diff.figure.draw()
    return Person(diff.figure.interaction.controls)


def place(diff, two_theta, chi):
    """Where a direction is, in pixels of the canvas, by looking through pyFAI's arrays of all pixels."""
    frame = diff.figure.image.frame
    geometry = frame.detector.projection.geometry
    angles = np.rad2deg(geometry.pixels("center", "2th_rad")), np.rad2deg(geometry.pixels("center", "chi_rad"))
    off = np.abs(angles[0] - two_theta) / 0.1 + np.abs((angles[1] - chi + 180) % 360 - 180) / 0.5
    row, column = np.unravel_index(np.argmin(off), off.shape)
    return diff.figure.image.ax.transData.transform((column, row))


def mouse(diff, name, x, y, button=None):
    MouseEvent(f"{name}_event", diff.figure.figure.canvas, x, y, button)._process()


def drag(diff, start, *ways):
    mouse(diff, "motion_notify", *start)
    mouse(diff, "button_press", *start, 1)
    for way in ways:
        mouse(diff, "motion_notify", *way, 1)


def settle(diff):
    controls = diff.figure.interaction.controls
    assert controls.wait(20)
    diff.figure.draw()


@pytest.mark.parametrize(
    ("start", "end", "number", "expected"),
    [
        ((6.5, 50), (6.5, 80), 1, [10, 80, 4, 9]),
        ((6.5, 10), (6.5, -25), 1, [-25, 50, 4, 9]),
        ((9, 30), (11, 30), 1, [10, 50, 4, 11]),
        ((4, 30), (5, 30), 1, [10, 50, 5, 9]),
        ((10, -170), (10, -150), 2, [170, 210, 8, 12]),
        ((10, 170), (10, 150), 2, [150, 190, 8, 12]),
    ],
)
def test_an_edge_is_dragged_and_the_range_follows(diff, person, start, end, number, expected):
    drag(diff, place(diff, *start), place(diff, *end))
    drag_ = diff.figure.interaction.drag
    assert drag_.text.startswith(f"range {number}: [")
    assert diff.figure.image.ax.format_coord(1, 1) == drag_.text
    other = diff.config.diff_ranges[2 - number]
    mouse(diff, "button_release", *place(diff, *end), 1)
    settle(diff)
    assert diff.config.diff_ranges[number - 1] == pytest.approx(expected, abs=1.0)
    assert diff.config.diff_ranges[2 - number] == other
    assert diff.config.diff_number == 2
    assert drag_.text == ""
    if number == 1:
        assert person.controls.boxes["azimuth end"].text == f"{diff.config.diff_ranges[0][1]:g}"


def test_what_is_drawn_while_dragging_is_what_will_be(diff, person):
    from bluesky_diffractogram.config import update_config
    from bluesky_diffractogram.reduction.opening import open_geometry

    drag(diff, place(diff, 9, 30), place(diff, 11, 30))
    drag_ = diff.figure.interaction.drag
    columns, rows = drag_.lines[1].get_data()
    changed = update_config(diff.config, {"diff_ranges": [drag_._entry, diff.config.diff_ranges[1]]})
    wanted = changed.ranges[0]
    # every point of the outline is on one of the four edges, by pyFAI's own angles
    geometry = open_geometry(changed)
    kept = np.isfinite(columns) & (columns > -0.5) & (columns < 129.5) & (rows > -0.5) & (rows < 119.5)
    third, first, second = geometry._ai.calc_pos_zyx(d1=rows[kept], d2=columns[kept])
    two_theta = np.rad2deg(np.arctan2(np.hypot(first, second), third))
    chi = np.rad2deg(np.arctan2(first, second))
    edges = [two_theta - wanted.radial_min, two_theta - wanted.radial_max, chi - wanted.arc.start, chi - wanted.arc.end]
    assert kept.sum() > 20
    assert np.abs(edges).min(axis=0).max() < 1e-6


def test_the_outline_is_seen_while_an_edge_is_dragged_with_any_canvas(diff, person, monkeypatch):
    """A page in a browser can put no pixels back: all of the figure is drawn there."""
    canvas = diff.figure.figure.canvas
    monkeypatch.setattr(canvas, "blit", lambda bbox: None, raising=False)
    start, end = place(diff, 9, 30), place(diff, 11, 30)
    canvas.draw()
    without = np.asarray(canvas.buffer_rgba()).copy()
    for blit in (True, False):
        monkeypatch.setattr(canvas, "supports_blit", blit)
        drag(diff, start)
        canvas.draw()
        mouse(diff, "motion_notify", *end, 1)
        if not blit:
            canvas.draw()  # as it has been asked to
        pixels = np.asarray(canvas.buffer_rgba())
        ax, line = diff.figure.image.ax, np.transpose(diff.figure.interaction.drag.lines[1].get_data())
        points = ax.transData.transform(line)
        inside = points[[ax.bbox.shrunk(0.97, 0.97).contains(*point) for point in points]].round().astype(int)
        seen = (pixels != without).any(axis=-1)[len(pixels) - 1 - inside[:, 1], inside[:, 0]]
        assert len(seen) > 20
        assert seen.mean() > 0.6  # the two straight edges were there before
        person.key("escape")
    canvas.draw()
    np.testing.assert_array_equal(np.asarray(canvas.buffer_rgba()), without)


def test_dragging_one_edge_leaves_all_else_as_it_is_in_force_by_then(diff, person):
    end = place(diff, 11, 30)
    drag(diff, place(diff, 9, 30), end)
    diff.configure({"diff_ranges": [[10, 45, 4, 9], [100, 120, 8, 12]]})
    mouse(diff, "button_release", *end, 1)
    settle(diff)
    assert diff.config.diff_ranges[0] == (10, 45, 4, pytest.approx(11, abs=0.5))
    assert diff.config.diff_ranges[1] == (100, 120, 8, 12)


def test_escape_leaves_the_range_as_it_was(diff, person):
    config = diff.config
    drag(diff, place(diff, 9, 30), place(diff, 11, 30))
    person.key("escape")
    assert diff.figure.interaction.drag.text == ""
    mouse(diff, "button_release", *place(diff, 11, 30), 1)
    assert diff.figure.interaction.controls.wait(5)
    assert diff.config is config


def test_a_click_on_an_edge_changes_nothing(diff, person):
    config = diff.config
    drag(diff, place(diff, 9, 30))
    mouse(diff, "button_release", *place(diff, 9, 30), 1)
    assert diff.figure.interaction.controls.wait(5)
    assert diff.config is config


def test_the_cursor_tells_where_an_edge_can_be_taken(diff, person, monkeypatch):
    shown = []
    monkeypatch.setattr(diff.figure.figure.canvas, "set_cursor", shown.append, raising=False)
    mouse(diff, "motion_notify", *place(diff, 9, 30))
    mouse(diff, "motion_notify", *place(diff, 6.5, 30))
    mouse(diff, "motion_notify", *place(diff, 6.5, 50))
    assert [each.name for each in shown] == ["HAND", "POINTER", "HAND"]


def test_a_range_dragged_to_nothing_is_refused_and_said(diff, person):
    config = diff.config
    drag(diff, place(diff, 9, 30), place(diff, 4, 30))
    drag_ = diff.figure.interaction.drag
    drag_._moved = {3: 4}
    mouse(diff, "button_release", *place(diff, 4, 30), 1)
    settle(diff)
    assert "two different radial limits" in person.controls.message.full
    assert diff.config is config


def test_a_row_that_is_clicked_is_shown_until_escape(diff, person):
    figure = diff.figure
    grid = figure.grids[0]
    rows = grid.rows()
    at = grid.ax.transData.transform((sum(grid.ax.get_xlim()) / 2, 2.2))
    person.click_at(*at)
    figure.draw()
    for number in (1, 2):
        np.testing.assert_array_equal(figure.curves.lines[number].get_ydata(), diff.buffers[number - 1].rows[1])
    assert figure.curves.caption().startswith("frame 2")
    send(diff, raw_run([image(9)]))  # the latest frame does not take its place
    figure.draw()
    np.testing.assert_array_equal(figure.curves.lines[1].get_ydata(), rows.intensity[1])
    person.key("escape")
    figure.draw()
    np.testing.assert_array_equal(figure.curves.lines[1].get_ydata(), diff.buffers[0].rows[-1])
    assert figure.curves.held is False


def test_live_and_an_emptied_buffer_let_go_of_a_row(diff, person):
    figure = diff.figure
    at = figure.grids[0].ax.transData.transform((sum(figure.grids[0].ax.get_xlim()) / 2, 3))
    person.click_at(*at)
    assert figure.curves.held
    person.click("live")
    assert not figure.curves.held
    person.click_at(*at)
    assert figure.curves.held
    diff.reset()
    figure.draw()
    assert not figure.curves.held
    assert all(not [line for line in grid.ax.lines if line.get_visible()] for grid in figure.grids)


def click_row(diff, row, grid=0):
    ax = diff.figure.grids[grid].ax
    x, y = ax.transData.transform((sum(ax.get_xlim()) / 2, row))
    for name, button in (("motion_notify", None), ("button_press", 1), ("button_release", 1)):
        mouse(diff, name, x, y, button)


def shown_row(diff):
    """Which frame of `image` the curves of all ranges show, as the buffers have it; by its place among the rows."""
    places = set()
    for number, buffer in enumerate(diff.buffers, 1):
        shown = diff.figure.curves.lines[number].get_ydata()
        places.add(next(n for n, row in enumerate(buffer.rows) if np.array_equal(row, shown, equal_nan=True)))
    assert len(places) == 1
    return places.pop()


@pytest.fixture
def many(tmp_path):
    """Six ranges, of which two have a heat-map that is seen, and four rows."""
    poni = write_poni(tmp_path / "a.poni", shape=(120, 130), pixel=(6e-4, 5e-4))
    ranges = [[10 * i, 10 * i + 30, 4, 16] for i in range(6)]
    made = DiffractogramCallback(
        {"calibration": str(poni), "diff_ranges": ranges, "npt": 50, "buffer_size": 6}, plot=True, background=False
    )
    made.figure.add_controls(made)
    send(made, raw_run([image(n) for n in range(4)]))
    made.figure.draw()
    yield made
    made.close()


def test_a_row_is_shown_of_ranges_without_a_heat_map_too(many):
    click_row(many, 2)
    many.figure.draw()
    assert shown_row(many) == 1
    assert many.figure.curves.caption() == "frame 2"


def test_hidden_heat_maps_do_not_keep_nor_lose_a_row(many):
    figure = many.figure
    many.configure({"main_plot": "buffer 3"})
    figure.draw()
    many.configure({"main_plot": "image"})
    figure.draw()
    send(many, raw_run([image(n) for n in range(4, 8)]))  # the first two rows scroll out
    figure.draw()
    click_row(many, 4)
    figure.draw()
    assert shown_row(many) == 1
    assert figure.curves.caption().endswith("frame 4")
    many.reset()
    assert figure.changed()
    figure.draw()
    assert not figure.curves.held


@pytest.mark.parametrize("change", [{"diff_units": "2th [deg]"}, {"buffer_size": 3}, None])
def test_a_row_is_let_go_though_others_came_before_the_next_drawing(many, change):
    click_row(many, 3)
    many.figure.draw()
    assert shown_row(many) == 2
    many.reset() if change is None else many.configure(change)
    send(many, raw_run([image(n) for n in range(4)]))
    many.figure.draw()
    assert not many.figure.curves.held
    assert shown_row(many) == len(many.buffers[0]) - 1
    marks = [line for grid in many.figure.grids for line in grid.ax.lines]
    assert not marks


def test_a_heat_map_chosen_later_has_the_rows_and_the_mark_of_the_one_that_is_shown(many):
    figure = many.figure
    click_row(many, 2)
    for number in (6, 5):
        many.configure({"main_plot": f"buffer {number}"})
        figure.draw()
        (grid,) = [grid for grid in figure.grids if grid.number == number]
        np.testing.assert_array_equal(grid.drawn.intensity, many.buffers[number - 1].rows)
        assert [list(line.get_ydata()) for line in grid.ax.lines] == [[2, 2]]
        assert grid.ax.get_ylim() == (0.5, 4.5)
    click_row(many, 3, figure.grids.index(grid))
    figure.draw()
    assert shown_row(many) == 2
    figure.interaction.pick.release()
    figure.draw()
    assert shown_row(many) == 3


def test_the_main_plot_follows_the_control_and_the_prompt(diff, person):
    figure = diff.figure
    person.choose("main", "buffer 2")
    settle(diff)
    assert diff.config.main_plot == "buffer 2"
    assert figure.main_plot == "buffer 2"
    assert not figure.image.ax.get_visible()
    diff.configure({"main_plot": "image"})
    figure.draw()
    assert person.controls.choices["main"].word == "image"
    assert figure.image.ax.get_visible()


def test_the_control_offers_the_cake_while_there_is_one(diff, person):
    person.click("main")
    assert person.controls.choices["main"]._offered == ["image", "buffer 1", "buffer 2"]
    person.key("escape")
    diff.configure({"cake": {"npt_rad": 30, "npt_azim": 20}})
    send(diff, raw_run([image(1)]))
    person.choose("main", "cake")
    settle(diff)
    assert (diff.config.main_plot, diff.figure.main_plot) == ("cake", "cake")
    assert diff.figure.cake.ax.get_visible()
    person.choose("main", "image")
    settle(diff)
    diff.configure({"cake": None})
    person.click("main")
    assert person.controls.choices["main"]._offered == ["image", "buffer 1", "buffer 2"]


def test_fewer_ranges_than_the_main_plot_shows_bring_the_image_back(diff, person):
    person.choose("main", "buffer 2")
    settle(diff)
    person.fill("number", "1")
    person.key("enter")
    settle(diff)
    assert (diff.config.diff_number, diff.config.main_plot, diff.figure.main_plot) == (1, "image", "image")
    assert diff.figure.image.ax.get_visible()


def test_the_main_plot_chosen_by_the_figures_method_can_be_changed_by_all_others(diff, person):
    figure = diff.figure
    figure.set_main_plot("buffer 1")
    figure.draw()
    assert person.controls.choices["main"].word == "buffer 1"
    person.choose("main", "image")
    settle(diff)
    assert figure.main_plot == "image"
    figure.set_main_plot("buffer 1")
    diff.configure({"main_plot": "image"})  # which it says already
    assert figure.main_plot == "image"


def test_a_main_plot_that_is_not_there_is_refused(diff, person):
    with pytest.raises(ValueError, match="main_plot = 'buffer 9': allowed: 'image', 'buffer 1', 'buffer 2'"):
        diff.figure.set_main_plot("buffer 9")
    diff.configure({"diff_number": 9})
    diff.figure.set_main_plot("buffer 9")  # before any frame of it
    diff.configure({"diff_number": 2})
    assert diff.figure.main_plot == "image"


def test_a_click_that_closes_a_menu_picks_no_row_and_takes_no_edge(diff, person):
    figure = diff.figure
    row = figure.grids[0].ax.transData.transform((sum(figure.grids[0].ax.get_xlim()) / 2, 2))
    for at in (row, place(diff, 9, 30)):
        person.click("unit")
        person.click_at(*at)
        assert person.controls.choices["unit"].menu is None
        assert not figure.curves.held
        assert not figure.interaction.drag.held
    person.click_at(*row)
    assert figure.curves.held
    for control in ("unit", "number"):
        person.click(control)
        person.key("escape")  # closes the menu, stops the typing
        assert figure.curves.held
    person.key("escape")
    assert not figure.curves.held


def test_what_is_changed_in_mid_run_is_followed(diff, person):
    """All that the configuration says of the window, with frames of one run before and after."""
    figure = diff.figure
    documents = list(raw_run([image(n) for n in range(9)]))
    send(diff, documents[:5])
    figure.draw()
    diff.configure({"colors": ["#112233", [250, 0, 0]]})
    figure.draw()
    assert [figure.curves.lines[number].get_color() for number in (1, 2)] == ["#112233", "#fa0000"]
    assert figure.grids[0].ax.title.get_color() == "#112233"
    assert figure.image.outlines.labels[2].get_color() == "#fa0000"
    assert person.controls.texts["range text"].get_color() == "#112233"
    diff.configure({"buffering": False})
    figure.draw()
    assert not figure.grids[0].ax.get_visible()
    diff.configure({"buffering": True, "buffer_size": 2})
    send(diff, documents[5:])
    figure.draw()
    assert figure.grids[0].ax.get_visible()
    assert len(figure.grids[0].rows().intensity) == len(diff.buffers[0]) == 2
    assert person.controls.boxes["buffer"].text == "2"
    assert figure.curves.lines[1].get_color() == "#112233"
    diff.configure({"reset_on_start": True})
    send(diff, raw_run([image(0)]))
    assert len(figure.grids[0].rows().intensity) == len(diff.buffers[0]) == 1


def test_scale_and_calibrant_of_the_figure(diff, person):
    person.choose("scale", "log")
    person.choose("calibrant", "LaB6")
    diff.figure.draw()
    assert diff.figure.curves.ax.get_yscale() == "log"
    assert diff.figure.calibrant == "LaB6"
    diff.figure.set_scale("sqrt")  # from the prompt
    diff.figure.set_calibrant(None)
    diff.figure.draw()
    assert person.controls.choices["scale"].word == "sqrt"
    assert person.controls.choices["calibrant"].word == "none"


def test_a_saved_figure_has_neither_controls_nor_room_for_them(diff, person, tmp_path):
    from matplotlib.image import imread

    figure = diff.figure
    before = figure.curves.ax.get_position().bounds
    figure.save(tmp_path / "with.png")
    assert figure.curves.ax.get_position().bounds == pytest.approx(before)
    bare = DiffractogramCallback(diff.configuration(), plot=True, background=False)
    send(bare, raw_run([image(n) for n in range(4)]))
    bare.figure.save(tmp_path / "without.png")
    one, other = imread(tmp_path / "with.png"), imread(tmp_path / "without.png")
    assert one.shape == other.shape
    differing = (np.abs(one - other).max(axis=-1) > 0.05).any(axis=1)
    assert not differing[len(differing) // 8 :].any()  # but for the heading, which names the run
    bare.close()


def test_the_panels_stay_above_the_controls(diff, person):
    figure = diff.figure
    for size in ((10.0, 7.0), (19.2, 10.8), (7.0, 6.0)):
        figure.figure.set_size_inches(size)
        figure.interaction.place()
        figure.draw()
        controls = person.controls
        top = max(widget.ax.bbox.y1 for _, widget in controls.widgets())
        for view in (figure.curves, figure.image, *figure.grids):
            if view.ax.get_visible():
                assert view.ax.get_tightbbox().y0 >= top


def test_no_text_of_a_window_with_controls_lies_on_another(diff, person):
    figure = diff.figure
    for size in ((6.4, 4.8), (8.0, 6.0), (10.0, 7.0), (19.2, 10.8)):
        figure.figure.set_size_inches(size)
        figure.interaction.place()
        for main in ("image", "buffer 1"):
            figure.set_main_plot(main)
            figure.draw()
            assert len(texts(figure)) > 20
            assert overlaps(figure) == ([], [])
            main_panel = figure.image.ax if main == "image" else figure.grids[0].ax
            box = main_panel.get_window_extent()
            assert min(box.width, box.height) > 150


def test_windows_get_controls_and_files_do_not(live_backend, tmp_path):
    poni = write_poni(tmp_path / "small.poni", shape=(120, 130), pixel=(6e-4, 5e-4))
    seen = DiffractogramCallback({"calibration": str(poni)}, background=False)
    assert seen.figure.interaction is not None
    seen.show(False)
    seen.figure.draw()
    assert seen.figure.interaction.controls.buttons["show"].label.get_text() == "Show"
    seen.close()

"""The callback with its figure."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from documents.conftest import image, raw_run, send
from ponis import write_poni

from bluesky_diffractogram import ConfigError, DiffractogramCallback, DiffractogramFigure

matplotlib.use("Agg")


@pytest.fixture
def cfg(tmp_path):
    poni = write_poni(tmp_path / "small.poni", shape=(120, 130), pixel=(6e-4, 5e-4))
    return {"calibration": str(poni), "diff_ranges": [[10, 60, 4, 16], [-5, 40, 5, 15]], "npt": 150}


def test_no_window_without_a_display(cfg):
    diff = DiffractogramCallback(cfg)
    assert diff.figure is None
    diff.close()


def test_the_figure_shows_what_the_buffers_hold(cfg, tmp_path):
    diff = DiffractogramCallback(cfg, plot=True)
    send(diff, raw_run([image(n) for n in range(4)]))
    assert diff.wait(20)
    for grid, buffer in zip(diff.figure.grids, diff.buffers, strict=False):  # there are panels for four
        np.testing.assert_array_equal(grid.rows().intensity, buffer.rows)
    diff.figure.save(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    diff.close()


def test_the_figure_shows_the_latest_image_with_the_ranges(cfg):
    diff = DiffractogramCallback({**cfg, "transformation": "rot-180"}, plot=True)
    send(diff, raw_run([image(n) for n in range(3)]))
    assert diff.wait(20)
    diff.figure.draw()
    assert diff.figure.image.ax.get_visible()
    np.testing.assert_array_equal(diff.figure.image.im.get_array(), image(2)[::-1, ::-1])
    assert list(diff.figure.image.outlines.labels) == [1, 2]
    diff.configure({"diff_ranges": [[0, 90, 3, 9], [10, 60, 4, 16], [-5, 40, 5, 15]], "diff_number": 3})
    assert diff.wait(20)
    diff.figure.draw()
    assert list(diff.figure.image.outlines.labels) == [1, 2, 3]
    diff.close()


def test_the_main_plot_is_what_the_configuration_says(cfg):
    diff = DiffractogramCallback({**cfg, "main_plot": "buffer 2"}, plot=True, background=False)
    assert diff.figure.main_plot == "buffer 2"
    send(diff, raw_run([image(0)]))
    diff.figure.draw()
    assert not diff.figure.image.ax.get_visible()
    diff.configure({"main_plot": "image"})
    diff.figure.draw()
    assert diff.figure.image.ax.get_visible()
    diff.figure.set_main_plot("buffer 1")
    diff.configure({"buffer_size": 7})  # what has nothing to do with it leaves it
    assert diff.figure.main_plot == "buffer 1"


def test_the_cake_comes_and_goes_with_the_configuration(cfg):
    diff = DiffractogramCallback(cfg, plot=True, background=False)
    figure = diff.figure
    send(diff, raw_run([image(0)]))
    with pytest.raises(ConfigError, match=r"main_plot = 'cake': no cake is made.*: 'image', 'buffer 1', 'buffer 2'"):
        diff.configure({"main_plot": "cake"})
    assert "cake" not in figure.main_plots()
    diff.configure({"cake": {"npt_rad": 30, "npt_azim": 20}, "main_plot": "cake"})
    assert figure.main_plots() == ("image", "cake", "buffer 1", "buffer 2")
    figure.draw()
    assert figure.image.ax.get_visible()  # until there is a frame with one
    send(diff, raw_run([image(1), image(2)]))
    figure.draw()
    assert figure.cake.ax.get_visible()
    assert not figure.image.ax.get_visible()
    np.testing.assert_array_equal(figure.cake.im.get_array().filled(np.nan), diff._latest.reduction.cake.intensity)
    with pytest.raises(ConfigError, match="main_plot = 'cake'"):
        diff.configure({"cake": None})
    diff.configure({"cake": {"npt_rad": 40, "npt_azim": 10, "range": [0, 90, 4, 16]}})
    send(diff, raw_run([image(3)]))
    figure.draw()
    assert figure.cake.im.get_array().shape == (10, 40)
    assert figure.cake.ax.get_ylim() == pytest.approx((0, 90), abs=2)
    diff.configure({"cake": None, "main_plot": "image"})
    assert "cake" not in figure.main_plots()
    send(diff, raw_run([image(4)]))
    figure.draw()
    assert figure.image.ax.get_visible()
    assert not figure.cake.ax.get_visible()


def test_a_figure_of_ones_own_is_offered_the_frames(cfg):
    figure = DiffractogramFigure()
    diff = DiffractogramCallback(cfg, plot=figure, background=False)
    send(diff, raw_run([image(0)]))
    np.testing.assert_array_equal(figure.image.frame.image, image(0))


def test_without_a_figure_nothing_is_kept_to_be_shown(cfg):
    diff = DiffractogramCallback(cfg, plot=False, background=False)
    send(diff, raw_run([image(0)]))
    assert len(diff._viewers) == 0


def test_reset_and_collect_hold_for_the_figure_too(cfg):
    diff = DiffractogramCallback({**cfg, "collect": False}, plot=True, background=False)
    send(diff, raw_run([image(0)]))
    assert diff.figure.grids[0].rows() is None
    assert len(diff.buffers[0]) == 0
    diff.collect(True)
    send(diff, raw_run([image(0), image(1)]))
    assert len(diff.figure.grids[0].rows().intensity) == len(diff.buffers[0]) == 2
    diff.reset()
    assert diff.figure.grids[0].rows() is None
    assert len(diff.buffers[0]) == 0


def test_a_plot_of_ones_own(cfg):
    heard = []
    diff = DiffractogramCallback(cfg, plot=lambda name, doc: heard.append(name), background=False)
    send(diff, raw_run([image(0)]))
    assert heard == ["start", "descriptor", "event", "stop"]


def test_colours_that_are_none_are_refused_when_they_are_given(cfg):
    with pytest.raises(ConfigError, match=r"colors = \['blurple'\]"):
        DiffractogramCallback({**cfg, "colors": ["blurple"]}, background=False)
    diff = DiffractogramCallback(cfg, background=False)
    with pytest.raises(ConfigError, match="colors"):
        diff.configure({"colors": ["blurple"]})
    diff.configure({"colors": [[255, 0, 0], "C3"]})


def test_what_is_no_plot_is_refused(cfg):
    with pytest.raises(ValueError, match="plot = 'yes'"):
        DiffractogramCallback(cfg, plot="yes")


def test_it_says_what_it_is(cfg):
    diff = DiffractogramCallback(cfg, background=False)
    send(diff, raw_run([image(0)]))
    assert repr(diff).startswith("<DiffractogramCallback: 2 ranges, q [1/nm], ")
    assert "1, 1 diffractograms in the buffers" in repr(diff)


def test_images_that_are_nowhere_are_reported_if_somebody_said_where(cfg, caplog):
    diff = DiffractogramCallback({**cfg, "image_key": "pilatus"}, background=False)
    send(diff, raw_run([image(0)]))
    assert "there are no images under 'pilatus'" in caplog.text

"""Scales of colours and axes."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from bluesky_diffractogram.views.placing import BAR_LABEL
from bluesky_diffractogram.views.scales import check_percentiles, color_norm, label_colors, scale_intensities


@pytest.mark.parametrize(
    ("scale", "middle"), [("linear", 0.5), ("sqrt", np.sqrt(0.5)), ("log", 1 - np.log(2) / np.log(100))]
)
def test_intensities_become_colours(scale, middle):
    norm = color_norm(scale, 1.0 if scale == "log" else 0.0, 100.0)
    assert norm(100.0) == pytest.approx(1.0)
    assert norm(50.0) == pytest.approx(middle)
    assert norm(1.0 if scale == "log" else 0.0) == pytest.approx(0.0)


def test_negative_values_have_a_place_on_an_axis_of_square_roots():
    ax = Figure(figsize=(4, 4)).add_subplot()
    scale_intensities(ax, "sqrt")
    ax.set_ylim(-100, 100)
    y = [ax.transAxes.inverted().transform(ax.transData.transform((0, at)))[1] for at in (-100, -25, 0, 25, 100)]
    np.testing.assert_allclose(y, [0, 0.25, 0.5, 0.75, 1.0], atol=1e-12)


@pytest.mark.parametrize("given", [(5, 5), (-1, 50), (50, 101), (60, 40)])
def test_percentiles_rise_from_0_to_100(given):
    with pytest.raises(ValueError, match="percentiles"):
        check_percentiles(given)
    assert check_percentiles((0, 100)) == (0.0, 100.0)


@pytest.mark.parametrize("scale", ["linear", "sqrt", "log"])
def test_ticks_of_a_colour_bar_are_narrow(scale):
    figure = Figure(figsize=(5, 4))
    ax = figure.add_subplot()
    im = ax.imshow([[1.0]], norm=color_norm(scale, 2e3, 4e6))
    bar = figure.colorbar(im)
    label_colors(bar, scale, "counts", None)
    figure.canvas.draw()
    texts = [text.get_text() for text in bar.ax.get_yticklabels()]
    shown = [text for text, at in zip(texts, bar.ax.get_yticks(), strict=True) if 2e3 <= at <= 4e6]
    assert 3 <= len(shown) <= 12
    assert all(len(text) <= 5 for text in shown), shown
    assert "10^{6}" in bar.ax.get_ylabel()
    assert float(shown[-1]) * 1e6 <= 4e6


def test_ticks_with_many_digits_do_not_reach_the_label():
    figure = Figure(figsize=(5, 4))
    im = figure.add_axes((0.1, 0.1, 0.5, 0.8)).imshow([[1.0]], norm=color_norm("linear", 102.25, 102.85))
    bar = figure.colorbar(im, cax=figure.add_axes((0.62, 0.1, 0.02, 0.8)))
    bar.ax.yaxis.set_label_coords(1 + BAR_LABEL / 0.1, 0.5)
    before = label_colors(bar, "linear", "counts", None)
    figure.canvas.draw()

    def overlap():
        label = bar.ax.yaxis.label.get_window_extent()
        return [text for text in bar.ax.get_yticklabels() if text.get_window_extent().x1 > label.x0]

    assert not overlap()
    im.set_clim(0.0, 900.0)
    label_colors(bar, "linear", "counts", before)
    figure.canvas.draw()
    assert not overlap()
    assert {text.get_fontsize() for text in bar.ax.get_yticklabels()} == {10.0}

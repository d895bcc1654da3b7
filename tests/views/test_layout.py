"""Where panels are: aligned, and with room for their text."""

from __future__ import annotations

import pytest

from bluesky_diffractogram.views.layout import Strip, arrange


@pytest.mark.parametrize("size", [(10.0, 7.0), (19.2, 10.8), (6.0, 5.0)])
@pytest.mark.parametrize("panels", [1, 2, 3, 4])
def test_panels_are_aligned_and_do_not_overlap(size, panels):
    layout = arrange(*size, panels)
    heatmaps, bars, curves = layout.heatmaps, layout.bars, layout.curves
    assert len(heatmaps) == len(bars) == panels
    assert {box[1] for box in (*heatmaps, *bars)} == {heatmaps[0][1]}
    assert {box[3] for box in (*heatmaps, *bars)} == {heatmaps[0][3]}
    assert heatmaps[0][0] == pytest.approx(curves[0])
    for heatmap, bar, following in zip(heatmaps, bars, (*heatmaps[1:], (1.0, 0, 0, 0)), strict=True):
        assert heatmap[0] + heatmap[2] < bar[0]
        assert bar[0] + bar[2] < following[0]
    assert curves[1] + curves[3] < heatmaps[0][1]
    assert heatmaps[0][1] + heatmaps[0][3] < 1
    assert curves[0] + curves[2] < 1


@pytest.mark.parametrize("size", [(10.0, 7.0), (19.2, 10.8)])
def test_text_has_the_same_room_whatever_the_size(size):
    width, height = size
    layout = arrange(width, height, 2)
    assert layout.curves[1] * height == pytest.approx(0.5)
    assert layout.curves[0] * width == pytest.approx(0.85)
    assert (1 - layout.heatmaps[0][1] - layout.heatmaps[0][3]) * height == pytest.approx(0.79)


def test_without_heat_maps_the_curves_have_the_figure():
    layout = arrange(10, 7, 0)
    assert layout.heatmaps == layout.bars == ()
    assert layout.curves[3] * 7 > 5


@pytest.mark.parametrize("size", [(1.0, 1.0), (2.0, 0.5)])
def test_a_window_drawn_very_small_has_no_negative_panels(size):
    for box in (*arrange(*size, 4).heatmaps, arrange(*size, 4).curves):
        assert box[2] > 0
        assert box[3] > 0


@pytest.mark.parametrize("main", [{"image": 1.0}, {"image": 0.4}, {"image": 3.0}, {"main": True}, {}])
def test_in_a_low_window_the_curves_are_beside_the_main_panel(main):
    layout = arrange(6.4, 4.8, 3, strip=Strip(1.6), **main)
    (panel,) = layout.heatmaps if layout.image is None else (layout.image,)
    (bar,) = layout.bars if layout.image is None else (layout.image_bar,)
    assert panel[0] + panel[2] < bar[0]
    assert bar[0] + bar[2] < layout.curves[0]
    assert layout.curves[0] + layout.curves[2] < 1
    assert panel[1] + panel[3] == pytest.approx(layout.curves[1] + layout.curves[3])
    assert layout.curves[1] * 4.8 > 1.6
    assert layout.curves[3] * 4.8 > 1.5
    if layout.image is not None:
        assert panel[2] * 6.4 / (panel[3] * 4.8) == pytest.approx(main["image"])

"""The latest frame with its ranges, as it is drawn."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from matplotlib.colors import LogNorm, Normalize, PowerNorm, to_rgba
from offered_frames import SHAPE, offered

from bluesky_diffractogram.views import LiveImage
from bluesky_diffractogram.views.colors import OKABE_ITO
from bluesky_diffractogram.views.image import MASKED
from bluesky_diffractogram.views.lines import Lines


def drawn(frame, **kwargs) -> LiveImage:
    image = LiveImage(**kwargs)
    image.offer(frame)
    image.draw()
    return image


def picture(image: LiveImage) -> np.ndarray:
    """What was rendered, ``(rows, columns, 4)``, row 0 on top."""
    return np.asarray(image.figure.canvas.buffer_rgba())


def colour_at(image: LiveImage, column: float, row: float) -> np.ndarray:
    x, y = image.ax.transData.transform((column, row))
    pixels = picture(image)
    return pixels[pixels.shape[0] - 1 - round(y), round(x), :3] / 255


def test_pixels_are_where_they_are_and_square():
    counts = np.full(SHAPE, 10, np.uint32)
    counts[30:40, 100:110] = 1000
    image = drawn(offered(counts), clim=(0, 1000), cmap="gray")
    assert colour_at(image, 104.5, 34.5) == pytest.approx([1, 1, 1], abs=0.01)
    assert colour_at(image, 104.5, 84.5) == pytest.approx([0.01] * 3, abs=0.02)
    (x0, y0), (x1, y1) = image.ax.transData.transform([(0, 0), (10, 10)])
    assert x1 - x0 == pytest.approx(y1 - y0)
    assert tuple(image.im.get_extent()) == (-0.5, 159.5, -0.5, 119.5)
    assert (image.ax.get_xlabel(), image.ax.get_ylabel()) == ("column (pixel)", "row (pixel)")
    assert "counts" in image.colorbar.ax.get_ylabel()


def test_masked_and_dead_pixels_are_neutral_and_out_of_the_contrast():
    counts = np.full(SHAPE, 10, np.uint32)
    counts[:60] = 20
    counts[50:80, 100:140] = 2**32 - 1
    image = drawn(offered(counts))
    np.testing.assert_allclose(colour_at(image, 120, 60), to_rgba(MASKED)[:3], atol=0.01)
    assert image.im.get_clim() == (10, 20)


def test_spikes_do_not_move_the_contrast():
    counts = np.random.default_rng(0).poisson(100, SHAPE).astype(np.uint32)
    clean = drawn(offered(counts)).im.get_clim()
    spoilt = counts.copy()
    spoilt[7, 7] = spoilt[90, 100] = 10**9
    assert drawn(offered(spoilt)).im.get_clim() == pytest.approx(clean, rel=0.02)


@pytest.mark.parametrize(("scale", "norm"), [("linear", Normalize), ("sqrt", PowerNorm), ("log", LogNorm)])
def test_scales_can_be_changed(scale, norm):
    counts = np.random.default_rng(0).poisson(3, SHAPE).astype(np.int32)
    assert (counts == 0).any()
    image = drawn(offered(counts))
    image.set_scale(scale)
    assert image.changed()
    image.draw()
    assert type(image.im.norm) is norm
    assert not np.isnan(image.im.get_array()).any()  # nothing counted is the lowest colour, not a gap
    assert type(drawn(offered(counts), scale=scale).im.norm) is norm


def test_what_is_no_scale_or_percentile_is_refused():
    with pytest.raises(ValueError, match="scale = 'cubic': allowed: 'linear', 'sqrt'"):
        LiveImage(scale="cubic")
    image = LiveImage()
    with pytest.raises(ValueError, match="percentiles"):
        image.set_percentiles(60, 50)
    with pytest.raises(ValueError, match="scale"):
        image.set_scale("cubic")


def test_percentiles_hold_for_the_valid_pixels():
    counts = np.arange(SHAPE[0] * SHAPE[1], dtype=np.uint32).reshape(SHAPE)
    image = drawn(offered(counts))
    image.set_percentiles(25, 75)
    image.draw()
    low, high = image.im.get_clim()
    assert (low, high) == pytest.approx((0.25 * counts.size, 0.75 * counts.size), rel=0.02)


def test_a_single_bright_pixel_of_a_large_image_is_seen():
    counts = np.full((2162, 2068), 5, np.uint32)
    counts[1001, 777] = 100
    image = drawn(offered(counts, diff_ranges=[]), clim=(0, 100))
    shown = image.im.get_array()
    assert max(shown.shape) < 1000
    assert (shown == 100).sum() == 1
    left, right, bottom, top = image.im.get_extent()
    row, column = (int(index[0]) for index in np.nonzero(shown == 100))
    assert left + (column + 1) * (right - left) / shown.shape[1] == pytest.approx(777, abs=4)
    assert bottom + (row + 1) * (top - bottom) / shown.shape[0] == pytest.approx(1001, abs=4)


def test_a_zoom_shows_every_pixel_of_the_part_and_stays():
    counts = np.arange(2162 * 2068, dtype=np.uint32).reshape(2162, 2068)
    image = drawn(offered(counts, diff_ranges=[]))
    assert not image.changed()
    image.ax.set(xlim=(500, 600), ylim=(1000, 1080))
    assert image.changed()
    image.draw()
    shown, (left, right, bottom, top) = image.im.get_array(), image.im.get_extent()
    assert shown.shape == (top - bottom, right - left)
    column, row = round(550 - left - 0.5), round(1040 - bottom - 0.5)
    assert shown[row, column] == counts[1040, 550]
    image.offer(offered(counts + 1, seq_num=2, diff_ranges=[]))
    image.draw()
    assert image.ax.get_xlim() == (500, 600)
    assert image.im.get_array()[row, column] == counts[1040, 550] + 1


@pytest.mark.parametrize("transformation", ["none", "transpose", "rot-90"])
def test_the_image_is_drawn_as_it_is_integrated(transformation):
    counts = np.random.default_rng(0).poisson(100, SHAPE).astype(np.uint32)
    image = drawn(offered(counts, transformation=transformation))
    expected = {"none": counts, "transpose": counts.T, "rot-90": np.rot90(counts, -1)}[transformation]
    np.testing.assert_array_equal(image.im.get_array(), expected)


def test_outlines_have_the_colours_and_numbers_of_their_ranges():
    image = drawn(offered())
    assert {n: text.get_color() for n, text in image.outlines.labels.items()} == dict(enumerate(OKABE_ITO[:2], 1))
    assert [text.get_text() for text in image.outlines.labels.values()] == ["1", "2"]
    # 4 degrees at 100 mm are 6.99 mm, 13.99 columns to the right of the middle
    at = np.deg2rad([10, 60])
    for angle in at:
        column = 79.5 + 100 * np.tan(np.deg2rad(8)) * np.cos(angle) / 0.5
        row = 59.5 + 100 * np.tan(np.deg2rad(8)) * np.sin(angle) / 0.6
        near = [colour_at(image, column + i / 4, row + j / 4) for i in range(-4, 5) for j in range(-4, 5)]
        assert min(np.abs(each - to_rgba(OKABE_ITO[0])[:3]).max() for each in near) < 0.15
    given = drawn(offered(), colors=["#ff0000", "#00ff00"])
    assert [text.get_color() for text in given.outlines.labels.values()] == ["#ff0000", "#00ff00"]
    configured = drawn(offered(colors=[[1, 2, 3]]))
    assert configured.outlines.labels[1].get_color() == "#010203"


def test_outlines_are_made_anew_only_when_they_change():
    image = drawn(offered())
    before = list(image.outlines.artists)
    image.offer(offered(seq_num=2))
    image.draw()
    assert image.outlines.artists == before
    image.offer(offered(seq_num=3, diff_ranges=[[0, 90, 3, 9]]))
    image.draw()
    assert [text.get_text() for text in image.outlines.labels.values()] == ["1"]
    count = len(image.ax.get_children())
    for number in range(5):
        image.offer(offered(seq_num=4, diff_ranges=[[0, 90, 3, 9 + number]]))
        image.draw()
    assert len(image.ax.get_children()) == count


def test_the_title_names_the_frame():
    assert drawn(offered(seq_num=12)).ax.get_title() == "image of frame 12"
    assert drawn(offered(seq_num=12, frame_index=3)).ax.get_title() == "image of frame 12[3]"
    assert drawn(offered(), title="mine").ax.get_title() == "mine"


def test_lines_of_a_powder_are_rings_at_their_angles():
    image = LiveImage()
    image.set_lines(Lines("powder", (2.0, 1.0, 0.05)))  # 0.4 Å: 11.5 and 23.1 degrees; the last beyond the detector
    image.offer(offered())
    image.draw()
    (artist,) = image._rings.artists
    rings = [path.vertices for path in artist.get_paths()]
    assert len(rings) == 2
    for ring, spacing in zip(rings, (2.0, 1.0), strict=True):
        radius = np.hypot((ring[:, 0] - 79.5) * 0.5, (ring[:, 1] - 59.5) * 0.6)
        np.testing.assert_allclose(radius, 100 * np.tan(2 * np.arcsin(0.4 / 2 / spacing)), rtol=1e-6)
    image.set_lines(None)
    image.draw()
    assert image._rings.artists == []


def test_only_the_latest_of_many_frames_is_drawn_and_none_is_copied():
    image = LiveImage()
    images = [np.full(SHAPE, n, np.uint32) for n in range(50)]
    thread = threading.Thread(target=lambda: [image.offer(offered(each, n)) for n, each in enumerate(images)])
    thread.start()
    thread.join()
    assert image.frame.image is images[-1]
    image.draw()
    assert (image.im.get_array() == 49).all()
    assert not image.changed()


def test_it_says_that_there_are_no_frames_yet(tmp_path):
    image = LiveImage()
    image.draw()
    assert not image.im.get_visible()
    image.save(tmp_path / "empty.png")
    image.offer(offered())
    image.save(tmp_path / "full.png")
    assert image.im.get_visible()


def test_a_file_has_every_pixel(tmp_path):
    counts = np.random.default_rng(0).poisson(5, (1500, 1400)).astype(np.uint32)
    image = drawn(offered(counts, diff_ranges=[]))
    assert image.im.get_array().shape[0] < 1500
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(image.im.get_array(), counts)


@pytest.mark.parametrize("value", [0, -5, np.nan])
@pytest.mark.parametrize("scale", ["linear", "sqrt", "log"])
def test_images_of_nothing_are_drawn(value, scale):
    image = drawn(offered(np.full(SHAPE, value, float)), scale=scale)
    assert image.im.get_visible()


def test_with_a_window_it_draws_itself(live_backend):
    image = LiveImage()
    image.offer(offered())
    live_backend.fire_timers()
    assert image.im.get_visible()
    assert not image.changed()

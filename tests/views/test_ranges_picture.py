"""The ranges drawn on the detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from numpy.typing import NDArray

from bluesky_diffractogram.reduction.outlines import Outline
from bluesky_diffractogram.views.ranges import DrawnRange, draw_ranges

SHAPE = (120, 160)


def _map(rows: slice, columns: slice) -> NDArray[np.bool_]:
    inside = np.zeros(SHAPE, dtype=bool)
    inside[rows, columns] = True
    return inside


def _frame(number: int, rows: tuple[int, int], columns: tuple[int, int], *, label: bool = True) -> Outline:
    """An outline around rows and columns, the last ones included."""
    (bottom, top), (left, right) = ((first - 0.5, last + 0.5) for first, last in (rows, columns))
    ring = np.array([(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)])
    return Outline(number, (ring,), (), ((left + right) / 2, (bottom + top) / 2) if label else None)


def _circle(radius: float) -> NDArray:
    angle = np.linspace(0, 2 * np.pi, 361)
    return np.stack([80 + radius * np.cos(angle), 60 + radius * np.sin(angle)], axis=1)


EVERYTHING = _frame(2, (0, SHAPE[0] - 1), (0, SHAPE[1] - 1))


def _where(picture: NDArray, color: str) -> tuple[NDArray, NDArray]:
    """Rows and columns of the picture's pixels of that colour."""
    return np.nonzero(np.abs(picture[..., :3] - to_rgb(color)).max(axis=-1) < 0.02)


MASK = _map(slice(50, 60), slice(None))
LEFT, RIGHT = _frame(1, (80, 109), (10, 49)), _frame(2, (10, 39), (100, 149))


def test_each_range_is_outlined_in_its_colour_where_it_is(tmp_path: Path) -> None:
    ranges = [DrawnRange(1, "1: upper left", LEFT), DrawnRange(2, "2: lower right", RIGHT)]
    draw_ranges(tmp_path / "a.png", ranges, MASK, colors=["#ff0000", "#0000ff"])
    picture = imread(tmp_path / "a.png")
    height, width = picture.shape[:2]
    axes_part = slice(0, int(0.85 * height))  # the legend is below
    red_rows, red_columns = _where(picture[axes_part], "#ff0000")
    blue_rows, blue_columns = _where(picture[axes_part], "#0000ff")
    assert len(red_rows) > 100
    assert len(blue_rows) > 100
    # row 0 is at the bottom: the range of high rows is the upper one
    assert red_rows.max() < blue_rows.min()
    assert red_columns.max() < blue_columns.min()
    # the outline is a frame, as wide as its 40 of 160 columns
    assert np.ptp(red_columns) / np.ptp(blue_columns) == pytest.approx(40 / 50, rel=0.05)
    assert width > 500


def test_masked_pixels_are_darker(tmp_path: Path) -> None:
    draw_ranges(tmp_path / "a.png", [], MASK)
    draw_ranges(tmp_path / "b.png", [], np.zeros(SHAPE, dtype=bool))
    masked, free = (len(_where(imread(tmp_path / name), "0.35")[0]) for name in ("a.png", "b.png"))
    unused = len(_where(imread(tmp_path / "b.png"), "0.93")[0])
    assert free < 0.002 * unused
    assert masked / unused == pytest.approx(10 / 120, rel=0.1)


def test_a_gap_of_one_pixel_is_seen_on_a_large_detector(tmp_path: Path) -> None:
    mask = np.zeros((2500, 2500), dtype=bool)
    mask[1234] = True
    draw_ranges(tmp_path / "a.png", [DrawnRange(1, "1", EVERYTHING)], mask)
    free = np.zeros_like(mask)
    draw_ranges(tmp_path / "b.png", [DrawnRange(1, "1", EVERYTHING)], free)
    assert np.abs(imread(tmp_path / "a.png") - imread(tmp_path / "b.png")).max(axis=(1, 2)).max() > 0.2


def test_a_range_without_pixels_and_one_over_everything_are_drawn(tmp_path: Path) -> None:
    nothing = _frame(1, (500, 600), (500, 600), label=False)
    ranges = [DrawnRange(1, "1: nothing", nothing), DrawnRange(2, "2: everything", EVERYTHING)]
    draw_ranges(tmp_path / "a.png", ranges, MASK, colors=["#ff0000", "#0000ff"], beam_centre=(-500.0, 3.0))
    picture = imread(tmp_path / "a.png")
    axes_part = picture[: int(0.85 * picture.shape[0])]
    assert len(_where(axes_part, "#ff0000")[0]) == 0
    assert len(_where(axes_part, "#0000ff")[0]) > 100


def test_only_the_ring_itself_is_tinted(tmp_path: Path) -> None:
    ring = Outline(7, (_circle(50), _circle(30)[::-1]), (), (80.0 + 40, 60.0))
    free = np.zeros(SHAPE, dtype=bool)
    draw_ranges(tmp_path / "a.png", [DrawnRange(7, "7: ring", ring)], free, colors=["#ff0000"])
    picture = imread(tmp_path / "a.png")
    axes_part = picture[: int(0.85 * picture.shape[0]), ..., :3]
    rows, columns = _where(axes_part, "#ff0000")
    middle_row, middle_column = round((rows.min() + rows.max()) / 2), round((columns.min() + columns.max()) / 2)
    radius = np.ptp(columns) / 2
    untouched = axes_part[middle_row, middle_column]
    assert np.ptp(untouched) < 0.02  # grey
    for distance, tinted in ((0.5, False), (0.8, True), (1.15, False)):
        above = axes_part[round(middle_row - distance * radius), middle_column]
        assert (np.ptp(above) > 0.1) == tinted, distance


@pytest.mark.parametrize("values", ["counts", "zeros", "negative", "nan"])
def test_a_frame_of_any_values_can_be_under_them(tmp_path: Path, values: str) -> None:
    image = np.random.default_rng(0).poisson(50, SHAPE).astype(float)
    image = {
        "counts": image,
        "zeros": np.zeros(SHAPE),
        "negative": -image,
        "nan": np.full(SHAPE, np.nan),
    }[values]
    draw_ranges(tmp_path / "a.png", [DrawnRange(1, "1", LEFT)], MASK, image=image, colors=["#ff0000"])
    assert len(_where(imread(tmp_path / "a.png"), "#ff0000")[0]) > 100


def test_many_ranges_do_not_fill_the_picture_with_their_legend(tmp_path: Path) -> None:
    ranges = [DrawnRange(n, f"{n}: strip", _frame(n, (3 * n, 3 * n + 1), (20, 139))) for n in range(1, 37)]
    draw_ranges(tmp_path / "a.png", ranges, MASK)
    draw_ranges(tmp_path / "b.png", ranges[:12], MASK)
    assert imread(tmp_path / "a.png").shape == imread(tmp_path / "b.png").shape
    used = [np.nonzero((imread(tmp_path / name)[..., :3] < 0.95).any(axis=(1, 2)))[0] for name in ("a.png", "b.png")]
    assert used[0].max() == pytest.approx(used[1].max(), abs=3)

"""What is under the cursor, in words."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from derived_run_example import DerivedRun, RangeExample

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.preview import detector_view
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.views.curves import LiveDiffractogram
from bluesky_diffractogram.views.grid import LiveDiffractogramGrid
from bluesky_diffractogram.views.readout import image_text, nearest_bin, nearest_curve, spacing


def number(text: str, word: str) -> float:
    """The number behind `word`."""
    return float(text.split(f"{word} ")[1].split(" ")[0].rstrip("°").replace("−", "-"))


@pytest.fixture
def frame(poni, rings):
    mask = np.zeros(rings.shape, bool)
    mask[20, 200] = True
    config = load_config({"calibration": str(poni), "diff_ranges": [[10, 50, 4, 9]], "mask": mask})
    reducer = Reducer(config, open_geometry(config), rings.shape)
    return SimpleNamespace(image=rings, detector=detector_view(reducer))


def test_a_pixel_has_the_angles_that_pyfai_gives_for_its_centre(frame):
    geometry = frame.detector.projection.geometry
    arrays = {unit: geometry.pixels("center", unit) for unit in ("2th_rad", "chi_rad", "r_m", "q_nm^-1")}
    for column, row in ((200.3, 20.4), (12.0, 230.0), (130.2, 60.1)):
        text = image_text(frame, column, row)
        at = round(row), round(column)
        assert text.startswith(f"x {at[1]} y {at[0]} ")
        assert number(text, "2θ") == pytest.approx(math.degrees(arrays["2th_rad"][at]), abs=6e-4)
        assert number(text, "χ") == pytest.approx(math.degrees(arrays["chi_rad"][at]), abs=6e-3)
        assert number(text, "r") == pytest.approx(1e3 * arrays["r_m"][at], abs=6e-3)
        assert number(text, "q") == pytest.approx(arrays["q_nm^-1"][at], abs=6e-4)
        assert number(text, "d") == pytest.approx(20 * math.pi / arrays["q_nm^-1"][at], abs=6e-5)
        assert number(text, "I") == frame.image[at]
    assert image_text(frame, 200, 20).endswith("masked")
    assert "masked" not in image_text(frame, 201, 20)
    for beside in ((-1, 3), (260, 3), (3, 240)):
        assert image_text(frame, *beside) == ""


def test_a_transformed_image_is_read_where_it_is_drawn(tmp_path, rings):
    from ponis import write_poni

    poni = write_poni(tmp_path / "turned.poni", shape=(260, 240))
    config = load_config({"calibration": str(poni), "transformation": "rot-90"})
    reducer = Reducer(config, open_geometry(config), rings.shape)
    turned = SimpleNamespace(image=rings, detector=detector_view(reducer))
    # clockwise: the last stored row is the first column
    assert number(image_text(turned, 0, 7), "I") == rings[-1, 7]


def test_a_heat_map_tells_frame_time_reading_radial_value_and_intensity():
    grid = LiveDiffractogramGrid(1)
    run = DerivedRun(
        frames=4, readings=lambda frame: {"temperature": 300.0 + 10 * frame}, reading_units={"temperature": "K"},
        times=lambda frame: 2.5 * frame, configuration={"carry": ["temperature"]},
    )  # fmt: skip
    assert grid.ax.format_coord(3.0, 2.0) == ""
    for name, doc in run.documents():
        grid(name, doc)
    grid.draw()
    rows = grid.rows()
    text = grid.ax.format_coord(3.02, 3.2)
    radial = rows.stream.ranges[1].radial
    bin_ = int(np.argmin(np.abs(radial - 3.02)))
    assert text.startswith("frame 3  t 5.00 s  temperature 320 K  q ")
    assert number(text, "q") == pytest.approx(radial[bin_], rel=1e-4)
    assert number(text, "I") == pytest.approx(rows.intensity[2, bin_], rel=1e-5)
    for beside in ((3.0, 0.2), (3.0, 4.8), (-1.0, 2.0), (11.0, 2.0)):
        assert grid.ax.format_coord(*beside) == ""


def test_curves_tell_x_d_and_the_intensity_of_the_nearest_line():
    curves = LiveDiffractogram()
    assert curves.ax.format_coord(3.0, 100.0) == ""
    run = DerivedRun(ranges=(RangeExample(), RangeExample(centres=(0.4,))), frames=1)
    for name, doc in run.documents():
        curves(name, doc)
    shown = curves._shown.curves
    x = float(shown[2][0][80])
    for wanted in (1, 2):
        y = float(shown[wanted][1][80])
        text = curves.ax.format_coord(x, y)
        assert number(text, "q") == pytest.approx(x, rel=1e-4)
        assert number(text, "d") == pytest.approx(20 * math.pi / x, abs=1e-4)
        assert f"range {wanted}: I {y:.6g}" in text


@pytest.mark.parametrize(
    ("unit", "value", "d"),
    [
        ("q_nm^-1", 20 * math.pi / 3, 3.0),
        ("q_A^-1", 2 * math.pi / 3, 3.0),
        ("2th_deg", 2 * math.degrees(math.asin(0.4 / 6)), 3.0),
        ("2th_rad", 2 * math.asin(0.4 / 6), 3.0),
        ("d_A", 3.0, 3.0),
        ("r_mm", 12.0, None),
        ("q_nm^-1", 0.0, None),
    ],
)
def test_d_by_braggs_law(unit, value, d):
    assert spacing(unit, value, 0.4e-10) == (None if d is None else pytest.approx(d, rel=1e-12))
    if unit.startswith("2th"):
        assert spacing(unit, value, None) is None


def test_d_of_a_radius_follows_from_the_detector(tmp_path):
    from ponis import write_poni

    from bluesky_diffractogram.reduction.calibration import load_geometry

    geometry = load_geometry(write_poni(tmp_path / "flat.poni", distance=0.1, wavelength=0.4e-10))
    two_theta = 2 * math.asin(0.4 / 6)
    assert spacing("r_mm", 100 * math.tan(two_theta), 0.4e-10, geometry) == pytest.approx(3.0, rel=1e-9)


def test_empty_bins_are_of_no_curve_and_beyond_the_axis_there_is_none():
    radial = np.array([1.0, 2.0, 3.0])
    curves = {1: np.array([radial, [5.0, np.nan, 5.0]]), 2: np.array([radial, [9.0, 9.0, np.nan]])}
    assert nearest_curve(curves, 2.1, 5.0) == 2
    assert nearest_curve(curves, 1.1, 6.0) == 1
    assert nearest_curve(curves, 9.0, 6.0) is None
    assert nearest_bin(radial[::-1], 2.9) == 0
    assert nearest_bin(radial, 4.2) is None

"""Lines on a radial axis, when the geometry moves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ponis import write_poni

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.moved import Moved, moved_by_poni
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.reduction.shifted import shifted

SHAPE = (60, 65)
CEO2_111 = 3.12441816  # Å
LAMBDA, LAMBDA_12 = 0.4, 12.398419843320026 / 12.0  # Å: the calibration's, and of 12 keV


@pytest.fixture
def reducer(tmp_path):
    poni = write_poni(tmp_path / "coarse.poni", shape=SHAPE, pixel=(1.2e-3, 1e-3))

    def make(unit, **settings):
        config = load_config({
            "calibration": str(poni), "diff_ranges": [[0, 360, 4, 16]], "npt": 200, "diff_units": unit, **settings,
        })  # fmt: skip
        return Reducer(config, open_geometry(config), SHAPE)

    return make


def two_theta(d, wavelength):
    return 2.0 * math.asin(wavelength / (2.0 * d))


POSITIONS = {
    "q [1/nm]": lambda wavelength, distance: 20.0 * math.pi / CEO2_111,
    "d [A]": lambda wavelength, distance: CEO2_111,
    "2th [deg]": lambda wavelength, distance: math.degrees(two_theta(CEO2_111, wavelength)),
    "2th [rad]": lambda wavelength, distance: two_theta(CEO2_111, wavelength),
    "r [mm]": lambda wavelength, distance: 1e3 * distance * math.tan(two_theta(CEO2_111, wavelength)),
}


@pytest.mark.parametrize("unit", POSITIONS)
def test_a_line_goes_where_bragg_has_it(reducer, unit):
    built = reducer(unit)
    (wanted,) = built.ranges
    place = POSITIONS[unit]
    moved = Moved(distance=0.23, energy=12.0).of(built.geometry)
    found = shifted(place(LAMBDA, 0.1), wanted, built.geometry, moved)
    assert found == pytest.approx(place(LAMBDA_12, 0.23), rel=1e-9)
    back = shifted(found, wanted, moved, built.geometry)
    assert back == pytest.approx(place(LAMBDA, 0.1), rel=1e-9)
    assert shifted(place(LAMBDA, 0.1), wanted, built.geometry, built.geometry) == place(LAMBDA, 0.1)


def test_pixels_are_those_of_the_axis(reducer):
    """The axis of r [pixel] has one scale, whatever the rotations are."""
    built = reducer("r [pixel]")
    (wanted,) = built.ranges
    moved = Moved(distance=0.2).of(built.geometry)
    assert shifted(10.0, wanted, built.geometry, moved) == pytest.approx(20.0, rel=1e-9)


def test_a_line_that_no_angle_shows_is_nowhere(reducer):
    built = reducer("2th [deg]")
    far = Moved(energy=1.0).of(built.geometry)
    assert math.isnan(shifted(20.0, built.ranges[0], built.geometry, far))


@pytest.mark.parametrize(("unit", "moving"), [("2th [deg]", {"energy": "e"}), ("r [mm]", {"distance": "z"})])
def test_windows_follow_lines_on_axes_that_they_move_on(reducer, unit, moving):
    """All lines of the phase are followed: those that are not on the axis in the calibration's geometry, too."""
    peaks = {"phases": [{"name": "ceria", "calibrant": "CeO2", "most": 4, "within": 0.02}],
             "track": [{"name": "mine", "near": 7.34, "within": 0.1, "unit": "2th [deg]"}]}  # fmt: skip
    built = reducer(unit, peaks=peaks, geometry=moving, diff_ranges=[[0, 360, 8, 9]])
    assert [line.name for line in built.tracked[0]] == [
        "mine",
        *(f"ceria_{hkl}" for hkl in ("111", "200", "220", "311")),
    ]
    fixed = reducer(unit, peaks=peaks, diff_ranges=[[0, 360, 8, 9]])
    assert [line.name for line in fixed.tracked[0]] == ["ceria_200"]
    moved = Moved(energy=12.0) if "energy" in moving else Moved(distance=0.23)
    mine, ceria, *_ = built.tracked_in(moved.of(built.geometry))[0]
    wavelength, distance = (LAMBDA_12, 0.1) if "energy" in moving else (LAMBDA, 0.23)

    def place(angle):
        return math.degrees(angle) if unit[0] == "2" else 1e3 * distance * math.tan(angle)

    expected = [place(two_theta(CEO2_111 * part, wavelength)) for part in (1.02, 0.98)]
    assert (ceria.low, ceria.high) == pytest.approx(expected, rel=1e-9)
    # what is given in 2θ is where the line is in the calibration's geometry
    d = [LAMBDA / (2.0 * math.sin(math.radians(at) / 2.0)) for at in (7.24, 7.44)]
    assert (mine.low, mine.high) == pytest.approx([place(two_theta(each, wavelength)) for each in d], rel=1e-9)


def test_q_is_the_samples_own(reducer):
    peaks = {"phases": [{"name": "ceria", "calibrant": "CeO2"}]}
    built = reducer("q [1/A]", peaks=peaks, geometry={"energy": "e", "distance": "z"}, diff_ranges=[[0, 360, 8, 9]])
    (mine,) = built.tracked[0]
    (other,) = built.tracked_in(Moved(energy=12.0, distance=0.3).of(built.geometry))[0]
    assert mine.name == other.name == "ceria_200"
    assert (other.low, other.high) == pytest.approx((mine.low, mine.high), rel=1e-12)


@pytest.mark.parametrize("unit", [*POSITIONS, "r [pixel]"])
@pytest.mark.parametrize("method", ["bbox", "no", "full", ["bbox", "csc", "cython"]])
def test_axis_and_limits_are_those_of_the_calibration(reducer, unit, method):
    """To the last bit, whatever moves: open limits, arcs across ±180° and the caked image, too."""
    settings = {"diff_ranges": [[0, 360, 4, 16], [170, 190, None, 12], [10, 60, 5, None]], "cake": True}
    built = reducer(unit, method=method, geometry={"poni": "p"}, **settings)
    moved = built.moved(Moved(distance=0.13, poni1=0.03, rot1=0.1, rot3=0.2, energy=29.0), {})
    assert moved is not built
    assert moved.ranges == built.ranges
    for mine, other in zip([*moved.axes, moved.cake.radial], [*built.axes, built.cake.radial], strict=True):
        np.testing.assert_array_equal(mine, other)
    assert built.moved(Moved(distance=0.1), {}) is built


@pytest.mark.parametrize("unit", ["q [1/A]", "d [A]"])
def test_a_table_does_not_depend_on_which_were_built_before(tmp_path, reducer, unit, monkeypatch):
    """pyFAI leaves some detectors with other positions after some units; and a table may come from the disk."""
    from bluesky_diffractogram.reduction.disk_cache import FOLDER_VARIABLE, wait_until_written
    from bluesky_diffractogram.reduction.frame import Frame

    frame = Frame(np.random.default_rng(0).poisson(100, SHAPE).astype(np.uint16), 0.0)
    found = []
    for folder in ("", str(tmp_path / "kept"), str(tmp_path / "kept")):
        monkeypatch.setenv(FOLDER_VARIABLE, folder)
        built = reducer(unit, geometry={"distance": "z"})
        wait_until_written()
        for distance in (0.3, 0.2) if len(found) == 1 else (0.2,):
            moved = built.moved(Moved(distance=distance), {})
        found.append(moved.reduce(frame).diffractograms[0].intensity)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("unit", ["2th [deg]", "r [mm]"])
def test_another_energy_alone_needs_no_other_table_where_the_axis_is_of_angles(reducer, unit):
    from bluesky_diffractogram.reduction.frame import Frame

    curve = np.column_stack([np.linspace(0.0, 60.0, 50), np.linspace(3.0, 1.0, 50)])
    built = reducer(
        unit, geometry={"energy": "e", "distance": "z"}, cake=True, background_curve=curve, background_unit="q_nm^-1",
        peaks={"track": [{"name": "111", "near": CEO2_111, "within": 0.1, "unit": "d [A]"}]},
    )  # fmt: skip
    moved = built.moved(Moved(energy=12.0), {})
    anew = Reducer(built.config, Moved(energy=12.0).of(built._untouched), SHAPE, {}, calibrated=built)
    assert moved.integrator is built.integrator is not anew.integrator
    assert moved.nbytes == 0 < built.nbytes
    assert moved.geometry.wavelength == pytest.approx(LAMBDA_12 * 1e-10)
    assert moved.tracked_in(moved.geometry) == anew.tracked_in(anew.geometry) != built.tracked
    frame = Frame(np.random.default_rng(0).poisson(100, SHAPE).astype(np.uint16), 0.0)
    ours, theirs, before = (each.reduce(frame) for each in (moved, anew, built))
    np.testing.assert_array_equal(ours.diffractograms[0].intensity, theirs.diffractograms[0].intensity)
    np.testing.assert_array_equal(ours.cake.intensity, theirs.cake.intensity)
    assert not np.array_equal(ours.diffractograms[0].intensity, before.diffractograms[0].intensity)  # the background's
    assert built.moved(Moved(energy=12.0, distance=0.13), {}).integrator is not built.integrator


def test_on_an_axis_of_q_another_energy_is_another_table(reducer):
    built = reducer("q [1/A]", geometry={"energy": "e"})
    assert built.moved(Moved(energy=12.0), {}).integrator is not built.integrator


def test_a_distance_in_millimetres_is_wondered_at_once(reducer, caplog):
    built = reducer("2th [deg]", geometry={"distance": "z"})
    built.moved(Moved(distance=0.9), {})
    assert "another unit" not in caplog.text
    for distance in (300.0, 310.0):
        built.moved(Moved(distance=distance), {})
    (record,) = [each for each in caplog.records if "another unit" in each.message]
    assert record.message.startswith("the distance is told as 300 m, and is 0.1 m in the calibration")


def test_what_no_geometry_has_is_refused():
    for wrong in ({"distance": 0.0}, {"distance": math.nan}, {"poni1": 1e9}, {"rot1": math.inf}, {"energy": -1.0},
                  {"wavelength": 0.4}):  # fmt: skip
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Moved(**wrong)


def test_a_poni_text_of_version_1_and_several_calibrations():
    text = (
        "PixelSize1: 0.0012\nPixelSize2: 0.001\nDistance: 0.1\nPoni1: 0.01\nPoni2: 0.02\nRot1: 0.5\nWavelength: 4e-11\n"
    )
    text += "# again\n" + text.replace("Distance: 0.1", "Distance: 0.2")
    found = moved_by_poni(text, (1.2e-3, 1e-3), 3)
    assert found == Moved(0.2, 0.01, 0.02, 0.5, 0.0, 0.0, 4e-11)
    with pytest.raises(ValueError, match="pixel1"):
        moved_by_poni(text, (1e-3, 1e-3), 3)
    with pytest.raises(ValueError, match="orientation"):
        moved_by_poni('Distance: 1\nPoni1: 0\nPoni2: 0\nDetector_config: {"orientation": 2}\n', (1e-3, 1e-3), 3)

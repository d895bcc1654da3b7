"""Outlines of ranges: against pyFAI's own angles of every pixel, on tilted detectors of every orientation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.path import Path as Polygon
from ponis import write_poni

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.calibration import load_geometry
from bluesky_diffractogram.reduction.geometry import Geometry
from bluesky_diffractogram.reduction.limits import IntegrationRange, integration_ranges
from bluesky_diffractogram.reduction.outlines import Outline, outline, ring
from bluesky_diffractogram.reduction.projection import Projection

SHAPE = (80, 100)
ARCS = [[10, 60], [170, 190], [-190, -100], [30, 20], [-180, 180], [None, None]]
TILTS = [((0.0, 0.0, 0.0), None), ((0.35, -0.2, 0.5), (53, 93)), ((-0.6, 0.1, -2.0), (33, 13))]
# rotations, and the row and column of the PONI with which the beam still meets the detector


def geometry_of(folder, **kwargs) -> Geometry:
    return load_geometry(str(write_poni(folder / "a.poni", shape=SHAPE, pixel=(12e-4, 9e-4), **kwargs)))


def oriented(folder, orientation: int, **kwargs) -> Geometry:
    path = write_poni(folder / f"{orientation}.poni", shape=SHAPE, pixel=(12e-4, 9e-4), **kwargs)
    text = path.read_text().replace("poni_version: 2\n", "poni_version: 2.1\n")
    path.write_text(text.replace('"max_shape"', f'"orientation": {orientation}, "max_shape"'))
    return load_geometry(str(path))


def ranges_of(geometry: Geometry, entries: list, unit: str = "2th [deg]") -> tuple[IntegrationRange, ...]:
    config = load_config({"calibration": geometry.path, "diff_ranges": entries, "diff_units": unit})
    return integration_ranges(config, geometry, None)


def inside_by_pyfai(wanted: IntegrationRange, geometry: Geometry) -> np.ndarray:
    """Which pixels' centres are in a range."""
    radial = geometry.pixels("center", wanted.unit.pyfai) * wanted.unit.si_scale
    chi = np.rad2deg(geometry.pixels("center", "chi_deg"))
    low, high = wanted.pyfai_limits
    return wanted.arc.contains(chi) & (radial >= low) & (radial <= high)


def inside_by_outline(drawn: Outline, shape: tuple[int, int]) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    times = sum(Polygon(polygon).contains_points(points).astype(int) for polygon in drawn.rings)
    return (times % 2 == 1).reshape(shape)


def rim(mask: np.ndarray) -> np.ndarray:
    """The pixels at the edge of a region, on either side."""
    padded = np.pad(mask, 1, mode="edge")
    around = [
        padded[1 + i : padded.shape[0] - 1 + i, 1 + j : padded.shape[1] - 1 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)
    ]
    return np.any(around, axis=0) & ~np.all(around, axis=0)


def assert_same(wanted: IntegrationRange, geometry: Geometry, *, least: int = 1) -> None:
    expected = inside_by_pyfai(wanted, geometry)
    found = inside_by_outline(outline(wanted, Projection(geometry)), expected.shape)
    assert expected.sum() >= least
    wrong = expected != found
    assert not (wrong & ~rim(expected)).any()
    # those whose centre is on the line go either way by rounding
    assert wrong.sum() <= 0.002 * expected.size, wrong.sum()


@pytest.mark.parametrize(("rot", "centre"), TILTS)
@pytest.mark.parametrize("azimuth", ARCS)
@pytest.mark.parametrize("radial", [(5, 20), (None, 20), (12, None), (None, None)])
def test_the_pixels_inside_are_those_of_the_range(tmp_path, rot, centre, azimuth, radial):
    geometry = geometry_of(tmp_path, rot=rot, centre=centre)
    (wanted,) = ranges_of(geometry, [[*azimuth, *radial]])
    assert_same(wanted, geometry)


@pytest.mark.parametrize("orientation", [1, 2, 3, 4])
@pytest.mark.parametrize("azimuth", [[10, 60], [150, 200]])
def test_every_orientation_of_the_detector(tmp_path, orientation, azimuth):
    geometry = oriented(tmp_path, orientation, rot=(0.3, -0.1, 0.2), centre=(37, 73))
    (wanted,) = ranges_of(geometry, [[*azimuth, 6, 22]])
    assert_same(wanted, geometry, least=130)


@pytest.mark.parametrize("unit", ["q [1/nm]", "q [1/A]", "2th [rad]", "r [mm]", "r [pixel]", "d [A]"])
def test_every_unit(tmp_path, unit):
    geometry = geometry_of(tmp_path, rot=(0.2, -0.15, 0.3))
    (wanted,) = ranges_of(geometry, [[20, 120, 6, 18]], unit)
    assert_same(wanted, geometry, least=130)


def test_every_corner_of_a_range_is_on_its_outline(tmp_path):
    geometry = geometry_of(tmp_path, rot=(0.4, 0.2, 0.1))
    (wanted,) = ranges_of(geometry, [[100, 250, 8, 20]])
    projection = Projection(geometry)
    (polygon,) = outline(wanted, projection).rings
    np.testing.assert_array_equal(polygon[0], polygon[-1])
    two_theta, chi = projection.angles(*polygon.T)
    on_arcs = np.minimum(abs(np.rad2deg(two_theta) - 8), abs(np.rad2deg(two_theta) - 20)) < 1e-6
    on_rays = np.minimum(abs((np.rad2deg(chi) - 100) % 360), abs((np.rad2deg(chi) - 250) % 360)) < 1e-6
    on_rays |= np.minimum(abs((100 - np.rad2deg(chi)) % 360), abs((250 - np.rad2deg(chi)) % 360)) < 1e-6
    assert (on_arcs | on_rays).all()
    assert on_arcs.sum() > 500
    assert (on_arcs & on_rays).sum() >= 4


def test_a_full_ring_has_no_seam(tmp_path):
    geometry = geometry_of(tmp_path, rot=(0.1, 0.2, 0.1))
    (wanted,) = ranges_of(geometry, [[-180, 180, 6, 14]])
    projection = Projection(geometry)
    rings = outline(wanted, projection).rings
    assert len(rings) == 2
    for polygon, expected in zip(rings, (14, 6), strict=True):
        np.testing.assert_array_equal(polygon[0], polygon[-1])
        np.testing.assert_allclose(np.rad2deg(projection.angles(*polygon.T)[0]), expected, atol=1e-9)


def test_without_limits_the_outline_is_the_edge_of_the_detector(tmp_path):
    geometry = geometry_of(tmp_path, rot=(0.1, 0.0, 0.0))
    (wanted,) = ranges_of(geometry, [[None, None, None, None]])
    (border,) = outline(wanted, Projection(geometry)).border
    assert border.min() == -0.5
    np.testing.assert_array_equal(border.max(axis=0), [SHAPE[1] - 0.5, SHAPE[0] - 0.5])


def test_what_leaves_the_detector_is_closed_along_its_edge(tmp_path):
    geometry = geometry_of(tmp_path)
    wanted = ranges_of(geometry, [[-20, 20, 5, 80], [40, 50, 3, 6], [-5, 5, 60, 80]])
    drawn = [outline(each, Projection(geometry)) for each in wanted]
    (border,) = drawn[0].border
    assert (border[:, 0] == SHAPE[1] - 0.5).all()
    chi = np.arctan2((border[:, 1] + 0.5 - SHAPE[0] / 2) * 12e-4, (border[:, 0] + 0.5 - SHAPE[1] / 2) * 9e-4)
    assert np.rad2deg(chi).min() == pytest.approx(-20, abs=1.0)
    assert np.rad2deg(chi).max() == pytest.approx(20, abs=1.0)
    assert [each.border for each in drawn[1:]] == [(), ()]
    assert [each.label is None for each in drawn] == [False, False, True]


@pytest.mark.parametrize(("rot", "centre"), TILTS)
def test_a_label_is_inside_the_range_and_the_detector(tmp_path, rot, centre):
    geometry = geometry_of(tmp_path, rot=rot, centre=centre)
    projection = Projection(geometry)
    for wanted in ranges_of(geometry, [[*azimuth, 5, 24] for azimuth in ARCS] + [[0, 40, None, None]]):
        label = outline(wanted, projection).label
        if label is None:
            assert inside_by_pyfai(wanted, geometry).sum() == 0
            continue
        column, row = label
        assert 0 < column < SHAPE[1] - 1
        assert 0 < row < SHAPE[0] - 1
        two_theta, chi = (np.rad2deg(angle) for angle in projection.angles(np.array([column]), np.array([row])))
        assert wanted.arc.contains(chi)[0]
        assert wanted.radial_range[0] < two_theta[0] < wanted.radial_range[1]


def test_modules_with_gaps_are_followed(tmp_path):
    """Pixels of the Xpad are wider at the edges of its chips: a plane alone is some pixels off."""
    path = tmp_path / "xpad.poni"
    path.write_text(
        'poni_version: 2.1\nDetector: Xpad_flat\nDetector_config: {"orientation": 3}\nDistance: 0.1\nPoni1: 0.05\n'
        "Poni2: 0.03\nRot1: 0.1\nRot2: -0.2\nRot3: 0.3\nWavelength: 1e-10\n"
    )
    geometry = load_geometry(str(path))
    projection = Projection(geometry)
    assert not projection.plane
    (wanted,) = ranges_of(geometry, [[20, 160, 8, 22]])
    expected = inside_by_pyfai(wanted, geometry)
    found = inside_by_outline(outline(wanted, projection), expected.shape)
    assert expected.sum() > 10_000
    assert (expected != found).sum() < 0.002 * expected.sum()


def test_rays_that_miss_the_detector_are_none(tmp_path):
    projection = Projection(geometry_of(tmp_path))
    assert np.isnan(ring(math.radians(95), projection)).all()
    assert np.isfinite(ring(math.radians(30), projection)).all()

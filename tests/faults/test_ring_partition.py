"""Neighbouring arcs share the ring out: every pixel is in one of them, wherever they start and end.

A pixel whose centre lies on the azimuth where two meet, within 1e-4 degrees, may be in both, as pyFAI has it: it counts
twice then, and no more.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pyFAI
import pytest
from fault_tools import SHAPE, examples, frame
from hypothesis import given
from hypothesis import strategies as st
from ponis import write_poni

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

TILTED = {"rot": (0.05, -0.08, 0.4)}
# The beam in the middle of a pixel: pixels lie exactly on azimuths of 0, 45, 90, ... degrees.
ON_PIXELS = {"centre": (30.5, 40.5), "pixel": (5e-4, 5e-4)}
OFF_CENTRE = {"centre": (-20.0, 100.0)}


@pytest.fixture(scope="module")
def calibrations(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rings")
    settings = {"tilted": TILTED, "on pixels": ON_PIXELS, "off centre": OFF_CENTRE}
    return {
        name: write_poni(folder / f"{name}.poni", **{"shape": SHAPE, "pixel": (6e-4, 5e-4), **each})
        for name, each in settings.items()
    }


def reduced(poni, ranges, **settings):
    given_ = {"calibration": str(poni), "npt": 25, "diff_units": "2th [deg]", "method": "no", "mask_invalid": False}
    config = load_config({**given_, "diff_ranges": ranges, **settings})
    return Reducer(config, opened(poni), SHAPE).reduce(Frame(frame(1), 0.0)).diffractograms


@functools.cache
def angles(poni):
    """``(60, 80)`` χ and 2θ of the pixels' centres, in degrees."""
    ai = pyFAI.load(str(poni))
    return np.rad2deg(ai.chiArray(SHAPE)).astype(np.float32), np.rad2deg(ai.twoThetaArray(SHAPE))


@functools.cache
def opened(poni):
    return open_geometry(load_config({"calibration": str(poni)}))


def pixels_on(poni, edges):
    """How many pixels have their centres at these azimuths; the first and last bin take some from outside the range."""
    chi, tth = angles(poni)
    wanted = {np.float32((edge + 180) % 360 - 180) for edge in edges}
    wanted |= {np.float32(180)} if np.float32(-180) in wanted else set()
    return sum(int(((np.abs(chi - edge) < 1e-4) & (tth <= 12.5)).sum()) for edge in wanted)


def assert_shared_out(poni, whole, parts, edges):
    """All counts add up, but for the pixels exactly on an edge."""
    twice = sum(part.count for part in parts) - whole.count
    assert (twice >= 0).all()
    assert whole.count.sum() > 0
    on_edges = pixels_on(poni, edges)
    assert twice.sum() <= on_edges
    if not on_edges:
        np.testing.assert_allclose(sum(part.signal for part in parts), whole.signal, rtol=1e-6)
        np.testing.assert_allclose(sum(part.normalization for part in parts), whole.normalization, rtol=1e-5)


whole_degrees = st.integers(-720, 720)
degrees = st.one_of(whole_degrees, whole_degrees.map(lambda n: n / 2), st.floats(-720, 720))


@examples(25)
@given(
    which=st.sampled_from(["tilted", "on pixels", "off centre"]),
    start=degrees,
    cuts=st.lists(
        st.integers(1, 719).map(lambda n: n / 2) | st.floats(0.5, 359.5), min_size=1, max_size=4, unique=True
    ),
)
def test_the_counts_of_neighbouring_arcs_add_up_to_the_rings(calibrations, which, start, cuts):
    edges = [start, *(start + cut for cut in sorted(cuts)), start + 360]
    edges = [edge for edge, following in itertools.pairwise([*edges, edges[-1] + 1]) if following - edge > 1e-3]
    arcs = [[a, b, 1, 12] for a, b in itertools.pairwise(edges)]
    whole, *parts = reduced(calibrations[which], [[None, None, 1, 12], *arcs])
    assert_shared_out(calibrations[which], whole, parts, edges[:-1])


@pytest.mark.parametrize("which", ["tilted", "on pixels", "off centre"])
@pytest.mark.parametrize("number", [2, 4])
def test_sectors_of_one_size(calibrations, which, number):
    span = 360 / number
    for start in (-180, -135, -90, 0, 45, 180, 350, 0.5):
        edges = [start + i * span for i in range(number + 1)]
        arcs = [[a, b, 1, 12] for a, b in itertools.pairwise(edges)]
        whole, *parts = reduced(calibrations[which], [[None, None, 1, 12], *arcs])
        assert_shared_out(calibrations[which], whole, parts, edges[:-1])


@pytest.mark.parametrize("method", ["bbox", "full"])
def test_split_pixels_share_their_weight_out(calibrations, method):
    """A pixel on an edge counts in both arcs there, so the counts are more; intensities stay between."""
    arcs = [[a, a + 90, 1, 12] for a in (-170, -80, 10, 100)]
    whole, *parts = reduced(calibrations["tilted"], [[None, None, 1, 12], *arcs], method=method)
    assert (sum(part.count for part in parts) >= whole.count).all()
    curves = np.array([part.intensity for part in parts])
    filled = np.isfinite(curves).all(axis=0)
    assert filled.sum() > 10
    assert (whole.intensity[filled] <= curves.max(axis=0)[filled] * 1.02).all()
    assert (whole.intensity[filled] >= curves.min(axis=0)[filled] / 1.02).all()

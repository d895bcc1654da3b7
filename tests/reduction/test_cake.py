"""Cakes: against pyFAI's integrate2d, numpy's histogram, and the diffractograms of the same frame."""

from __future__ import annotations

import numpy as np
import pyFAI
import pytest
from pyFAI.ext import splitpixel_common

from bluesky_diffractogram.config import CakeConfig, ConfigError, configuration, load_config, update_config
from bluesky_diffractogram.reduction import cake_table, table
from bluesky_diffractogram.reduction.cake import CakeIntegrator
from bluesky_diffractogram.reduction.disk_cache import wait_until_written
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.pyfai_library import settle_split_buffer
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.reduction.splitting import split_cake
from bluesky_diffractogram.reduction.transformation import transform
from bluesky_diffractogram.reduction.validity import Validity


def reducer_for(poni, shape, cake, **config):
    config = load_config(
        {"calibration": str(poni), "diff_units": "2th_deg", "npt": 80, "peaks": False, "cake": cake, **config}
    )
    return Reducer(config, open_geometry(config), shape)


def beneath(ai, shape, method, degrees):
    """Pixels that lie below an azimuth and do not touch it.

    pyFAI's two-dimensional "no" and "bbox" splitting counts those less than a bin away in its first bin.
    """
    if method == "full":
        return np.zeros(shape, bool)
    chi = ai.center_array(shape, unit="chi_rad")
    half = ai.delta_array(shape, unit="chi_rad") if method == "bbox" else 0.0
    return chi + half < np.deg2rad(degrees)


@pytest.mark.parametrize("unit", ["2th_deg", "q_A^-1", "r_mm"])
@pytest.mark.parametrize("method", ["no", "bbox", "full"])
def test_it_is_pyfais(poni, rings, unit, method):
    dark = np.full(rings.shape, 3.0)
    limits = {"2th_deg": (4, 16), "q_A^-1": (1.0, 4.0), "r_mm": (8, 30)}[unit]
    reducer = reducer_for(
        poni, rings.shape, {"npt_rad": 60, "npt_azim": 36, "range": [-60, 120, *limits]}, diff_units=unit,
        range_unit="same", method=method, dark=dark,
    )  # fmt: skip
    ours = reducer.reduce(Frame(rings, 0.0, monitor=2.0)).cake
    ai = pyFAI.load(str(poni))
    theirs = ai.integrate2d_ng(
        rings, 60, 36, unit=unit, radial_range=limits, azimuth_range=(-60, 120), method=(method, "csr", "cython"),
        dark=dark, normalization_factor=2.0, mask=beneath(ai, rings.shape, method, -60),
    )  # fmt: skip
    assert_pyfais(ours, theirs, monitor=2.0)


@pytest.mark.parametrize("method", ["no", "bbox", "full", ("bbox", "lut", "cython")])
def test_of_the_full_ring_it_is_pyfais_as_it_comes(poni, rings, method):
    flat = np.random.default_rng(2).uniform(0.5, 1.5, rings.shape)
    spoilt = rings.astype(np.int32)
    spoilt[::7, ::5] = -1
    cake = {"npt_rad": 130, "npt_azim": 90}
    reducer = reducer_for(poni, rings.shape, cake, method=method, flat=flat, polarization_factor=0.9)
    ours = reducer.reduce(Frame(spoilt, 0.0)).cake
    split = method if isinstance(method, str) else method[0]
    theirs = pyFAI.load(str(poni)).integrate2d_ng(
        spoilt, 130, 90, unit="2th_deg", azimuth_range=(-180, 180), method=(split, "csr", "cython"), dummy=-1,
        delta_dummy=0.5, flat=flat, polarization_factor=0.9,
    )  # fmt: skip
    assert_pyfais(ours, theirs)


def assert_pyfais(ours, theirs, monitor=1.0):
    empty = np.asarray(theirs.count) == 0
    np.testing.assert_allclose(ours.radial, theirs.radial, rtol=1e-7)
    np.testing.assert_allclose(ours.azimuthal, theirs.azimuthal, rtol=1e-7)
    np.testing.assert_array_equal(np.isnan(ours.intensity), empty)
    np.testing.assert_allclose(ours.intensity[~empty], theirs.intensity[~empty], rtol=1e-6)
    np.testing.assert_allclose(ours.signal, theirs.sum_signal, rtol=1e-6)
    np.testing.assert_allclose(ours.normalization * monitor, theirs.sum_normalization, rtol=1e-6)


def test_without_splitting_it_is_a_histogram(poni, rings):
    cake = {"npt_rad": 40, "npt_azim": 30, "range": [-90, 90, 4, 14]}
    ours = reducer_for(poni, rings.shape, cake, method="no", correct_solid_angle=False).reduce(Frame(rings, 0.0)).cake
    ai = pyFAI.load(str(poni))
    two_theta, chi = (
        ai.center_array(rings.shape, unit="2th_deg"),
        np.rad2deg(ai.center_array(rings.shape, unit="chi_rad")),
    )
    bins = {"bins": (30, 40), "range": ((-90, 90), (4, 14))}
    count, *_ = np.histogram2d(chi.ravel(), two_theta.ravel(), **bins)
    total, *_ = np.histogram2d(chi.ravel(), two_theta.ravel(), weights=rings.ravel().astype(float), **bins)
    # a pixel on the edge of a bin may be in the next; pyFAI's first radial bin has those of one bin below it
    differ = ours.normalization[:, 1:] != count[:, 1:]
    assert differ.mean() < 0.01
    np.testing.assert_allclose(ours.signal[:, 1:][~differ], total[:, 1:][~differ])


# How far Σ signal / Σ normalization over the azimuths may be from the curve of the same range, relative. Without
# splitting every pixel is whole in one bin of both: what is left is rounding. A bounding box is split along either
# axis for itself, and the parts along the azimuth add up to the whole: what is left are pyFAI's float32 coefficients.
# A true outline is cut in two dimensions, and one that an edge of the sector or of the radial limits cuts is, in a
# cake, spread over the radial bins as the part that is inside, in a curve as all of the pixel: these alone differ.
AGREES = {"no": 1e-12, "bbox": 1e-6, "full": 1e-2}
ARCS = [(None, None), (-60, 75), (10, 30)]


def summed(reducer, frame):
    """Σ signal and Σ normalization over the cake's azimuths, and the curve of the same range."""
    reduction = reducer.reduce(Frame(frame, 0.0, monitor=2.0))
    (curve,), cake = reduction.diffractograms, reduction.cake
    np.testing.assert_allclose(cake.radial, curve.radial, rtol=1e-6)
    return cake.signal.sum(axis=0), cake.normalization.sum(axis=0), curve


@pytest.mark.parametrize("method", AGREES)
@pytest.mark.parametrize("arc", ARCS)
@pytest.mark.parametrize("corrected", [False, True])
def test_summed_over_the_azimuths_it_is_the_diffractogram(poni, rings, method, arc, corrected):
    rng = np.random.default_rng(4)
    corrections = {
        "dark": rng.uniform(0, 5, rings.shape), "flat": rng.uniform(0.8, 1.2, rings.shape),
        "mask": rng.random(rings.shape) < 0.02, "polarization_factor": 0.95,
    }  # fmt: skip
    spoilt = rings.copy()
    spoilt[100:120, 150:190] = 65535  # in all of the arcs
    wanted = [*arc, 4, 16]
    reducer = reducer_for(
        poni, rings.shape, {"npt_rad": 80, "npt_azim": 90, "range": wanted}, diff_ranges=[wanted], method=method,
        **(corrections if corrected else {}),
    )  # fmt: skip
    signal, normalization, curve = summed(reducer, spoilt)
    assert (curve.count > 0).all()
    within = AGREES[method]
    np.testing.assert_allclose(signal / normalization / 2.0, curve.intensity, rtol=within)
    np.testing.assert_allclose(normalization, curve.normalization, rtol=2 * within)
    np.testing.assert_allclose(normalization.sum(), curve.normalization.sum(), rtol=1e-6)  # nothing is lost or doubled
    np.testing.assert_allclose(signal.sum(), curve.signal.sum(), rtol=1e-6)


@pytest.mark.parametrize("method", ["no", "bbox"])
def test_summed_over_the_azimuths_a_real_frame_is_its_diffractogram(lightform, real_frame, method):
    wanted = [-100, 50, 2, 8]
    config = load_config({
        "calibration": str(lightform / "DLS_CeO2_1200mm_pyFAI.poni"), "diff_units": "2th_deg", "npt": 500,
        "peaks": False, "method": method, "diff_ranges": [wanted], "polarization_factor": 0.99,
        "cake": {"npt_rad": 500, "npt_azim": 180, "range": wanted}, "dark": np.full(real_frame.shape, 0.5),
    })  # fmt: skip
    signal, normalization, curve = summed(Reducer(config, open_geometry(config), real_frame.shape), real_frame)
    assert (curve.count > 0).all()
    np.testing.assert_allclose(normalization, curve.normalization, rtol=AGREES[method])
    # near to nothing after the dark is subtracted, so relative to the counts
    np.testing.assert_allclose(signal, curve.signal, rtol=AGREES[method], atol=1e-6 * np.abs(curve.signal).max())


@pytest.mark.parametrize("name", ["transpose", "rot-90", "flip-left-right"])
def test_a_stored_frame_is_turned_by_the_table(poni, rings, name):
    back = {"rot-90": "rot-270"}.get(name, name)
    stored = np.ascontiguousarray(transform(rings, back))
    cake = {"npt_rad": 50, "npt_azim": 40}
    turned = reducer_for(poni, stored.shape, cake, transformation=name).reduce(Frame(stored, 0.0)).cake
    straight = reducer_for(poni, rings.shape, cake).reduce(Frame(rings, 0.0)).cake
    np.testing.assert_allclose(turned.intensity, straight.intensity, rtol=1e-6)


def test_frames_added_up_lose_as_many_darks(poni, rings):
    reducer = reducer_for(poni, rings.shape, {"npt_rad": 50, "npt_azim": 40}, dark=np.full(rings.shape, 7.0))
    once = reducer.reduce(Frame(rings, 0.0)).cake
    four = reducer.reduce(Frame(4.0 * rings, 0.0, exposures=4)).cake
    np.testing.assert_allclose(four.signal, 4 * once.signal, rtol=1e-6, atol=1e-6)


def test_the_number_of_threads_changes_no_bit(poni, rings, monkeypatch):
    monkeypatch.setattr(table, "LEAST_ROWS_OF_A_BLOCK", 1000)
    monkeypatch.setattr(table, "ROWS_PER_BIN_AND_BLOCK", 1)
    prepared = reducer_for(poni, rings.shape, {"npt_rad": 51, "npt_azim": 41}).cake.prepared  # as none is kept
    assert len(prepared.table.blocks) > 4
    one, three = (CakeIntegrator(prepared, threads=n).integrate(rings, Validity()) for n in (1, 3))
    np.testing.assert_array_equal(one.signal, three.signal)
    np.testing.assert_array_equal(one.intensity, three.intensity)


def test_a_table_is_taken_over_and_kept_where_the_cake_is_the_same(poni, rings, tmp_path, monkeypatch):
    monkeypatch.setenv("BLUESKY_DIFFRACTOGRAM_CACHE", str(tmp_path / "kept"))
    cake = {"npt_rad": 50, "npt_azim": 40, "range": [0, 90, None, 14]}
    config = load_config({"calibration": str(poni), "diff_units": "2th_deg", "cake": cake})
    first = Reducer(config, open_geometry(config), rings.shape)
    other = update_config(config, {"npt": 77})
    assert Reducer(other, open_geometry(other), rings.shape, earlier=(first,)).cake.prepared is first.cake.prepared
    wait_until_written()
    monkeypatch.setattr(cake_table, "split_cake", lambda *_: pytest.fail("it was made anew"))
    again = Reducer(config, open_geometry(config), rings.shape)
    ours, theirs = (each.reduce(Frame(rings, 0.0)).cake for each in (first, again))
    for name in ("radial", "azimuthal", "intensity", "signal", "normalization"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    for change in (
        {"cake": {**cake, "npt_azim": 41}},
        {"cake": {**cake, "range": [0, 91, None, 14]}},
        {"method": "no"},
    ):
        changed = update_config(config, change)
        with pytest.raises(pytest.fail.Exception, match="made anew"):
            Reducer(changed, open_geometry(changed), rings.shape, earlier=(first,))


def test_a_kept_table_that_cannot_be_used_is_made_anew(poni, rings, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("BLUESKY_DIFFRACTOGRAM_CACHE", str(tmp_path / "kept"))
    cake = {"npt_rad": 50, "npt_azim": 40}
    expected = reducer_for(poni, rings.shape, cake).reduce(Frame(rings, 0.0)).cake
    wait_until_written()
    (file,) = (tmp_path / "kept" / "cakes").iterdir()
    file.write_bytes(file.read_bytes()[:5000])
    found = reducer_for(poni, rings.shape, cake).reduce(Frame(rings, 0.0)).cake
    np.testing.assert_array_equal(found.intensity, expected.intensity)
    assert "cannot be used and is built anew" in caplog.text


def test_invalid_pixels_leave_the_axes_as_they_are(poni, rings):
    reducer = reducer_for(poni, rings.shape, {"npt_rad": 50, "npt_azim": 40})
    whole = reducer.reduce(Frame(rings, 0.0)).cake
    half = rings.astype(float)
    half[:, :130] = np.nan
    cut = reducer.reduce(Frame(half, 0.0)).cake
    np.testing.assert_array_equal(cut.radial, whole.radial)
    assert np.isnan(cut.intensity).sum() > np.isnan(whole.intensity).sum() + 200
    both = np.isfinite(cut.intensity) & np.isfinite(whole.intensity)
    assert both.sum() > 400
    assert whole.azimuthal[0] == pytest.approx(-175.5)
    assert whole.azimuthal[-1] == pytest.approx(175.5)


def test_none_is_made_where_none_is_wanted(poni, rings):
    assert reducer_for(poni, rings.shape, None).reduce(Frame(rings, 0.0)).cake is None


def test_it_comes_back_as_it_was_written(poni):
    config = load_config({"calibration": str(poni), "cake": True})
    assert config.cake == CakeConfig(npt_rad=500, npt_azim=360, range=None)
    assert load_config(configuration(config)) == config
    config = load_config({"calibration": str(poni), "cake": {"npt_azim": 72, "range": [0, 90, None, 5]}})
    assert configuration(config)["cake"] == {"npt_azim": 72, "range": [0, 90, None, 5]}
    assert load_config(configuration(config)) == config


@pytest.mark.parametrize(("cake", "said"), [
    (7, r"cake = 7: allowed: a mapping with any of npt_rad, npt_azim, range; true; false or null for none"),
    ({"npt_rad": 0}, r"cake\.npt_rad = 0: allowed: an integer of at least 1"),
    ({"npt": 5}, r"cake\.npt = 5: unknown key"),
    ({"range": [0, 90]}, r"cake\.range = \[0, 90\]"),
    ({"range": [170, 190, None, None]}, r"cake\.range = .*pyFAI would cut it there.*does not cross 180°"),
])  # fmt: skip
def test_what_cannot_be_is_refused(poni, cake, said):
    with pytest.raises(ConfigError, match=said):
        load_config({"calibration": str(poni), "cake": cake})


def test_nothing_that_was_in_memory_before_comes_into_the_full_splitting(poni, rings, monkeypatch):
    """pyFAI begins with memory as it was left, and adds its first pixel to that."""
    left_there = []

    def empty(shape, dtype=float, **_):
        left_there.append(shape)
        return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 0, dtype)

    class Littered:
        def __getattr__(self, name):
            return empty if name == "empty" else getattr(np, name)

    config = load_config({"calibration": str(poni), "method": "full", "cake": {"npt_rad": 130, "npt_azim": 90}})
    settings = (rings.shape, (130, 90), "2th_deg", (1.0, 20.0), (-180.0, 180.0), "full")

    def split():
        matrix, _ = split_cake(open_geometry(config).for_shape(rings.shape).integrator(), *settings)
        return matrix

    settle_split_buffer()  # what is put back in the end
    monkeypatch.setattr(splitpixel_common, "numpy", Littered())
    littered = split()
    assert left_there
    spoilt = ~np.isfinite(littered.coefficient)
    assert set(littered.owner[spoilt]) == {littered.owner.min()}, "pyFAI has mended it: settle_split_buffer may go"
    settle_split_buffer.cache_clear()
    cleared = split()
    assert np.isfinite(cleared.coefficient).all()
    np.testing.assert_array_equal(littered.owner, cleared.owner)
    np.testing.assert_array_equal(littered.coefficient[~spoilt], cleared.coefficient[~spoilt])

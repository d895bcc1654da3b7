"""Darks that come with a run whose geometry moves, with all that is computed from a frame."""

from __future__ import annotations

import numpy as np
import pyFAI
import pytest

from .conftest import image
from .dark_runs import DarkRun, dark_image
from .test_darks import dark_numbers, reduce

MOVING = {"geometry": {"distance": "z"}}
ALL = {
    **MOVING,
    "cake": {"npt_rad": 60, "npt_azim": 24},
    "error_model": "poisson",
    "count": True,
    "peaks": {"fit": "pseudo-voigt"},
}
DISTANCES = (0.2, 0.25, 0.2, 0.25)


def documents(with_darks: bool):
    run = DarkRun(readings={"z": "number"})
    yield run.start()
    if with_darks:
        yield run.descriptor("dark")
    yield run.descriptor()
    for n, z in enumerate(DISTANCES):
        if with_darks and n in (0, 2):
            yield run.dark(dark_image(n))
        yield run.event(image(n), z=z)
    yield "stop", run.run.compose_stop()


def test_each_frame_has_its_dark_and_its_geometry(cfg):
    cfg = {**cfg, **ALL}
    events = reduce(cfg, documents(True)).of("event")
    assert dark_numbers(events) == [1, 1, 2, 2]
    references = [reduce(cfg, documents(False), dark_image(n)).of("event") for n in (0, 2)]
    for n, event in enumerate(events):
        data, constant = event["data"], references[n // 2][n]["data"]
        assert data["geometry_distance"] == pytest.approx(DISTANCES[n])
        for key in ("diff_1", "sigma_1", "count_1", "cake", "peaks_1", "peaks_1_error", "peak_1_area"):
            np.testing.assert_array_equal(data[key], constant[key], err_msg=key)


def test_the_numbers_are_those_of_pyfai(cfg):
    cfg = {**cfg, **MOVING}
    for n, event in enumerate(reduce(cfg, documents(True)).of("event")):
        integrator = pyFAI.load(cfg["calibration"])
        integrator.dist = DISTANCES[n]
        (low, high), azimuths = event["data"]["radial_range_1"], event["data"]["azimuth_range_1"]
        radial, intensity = event["data"]["diff_1"]
        expected = integrator.integrate1d(
            image(n), len(radial), unit="q_A^-1", radial_range=(low, high), azimuth_range=tuple(azimuths),
            dark=dark_image(n // 2 * 2).astype(np.float32), method=("bbox", "csr", "cython"),
        )  # fmt: skip
        there = np.isfinite(intensity)
        assert there.sum() > 0.5 * len(there)
        np.testing.assert_allclose(radial, expected.radial, rtol=1e-6)
        np.testing.assert_allclose(intensity[there], expected.intensity[there], rtol=1e-5, atol=1e-4)

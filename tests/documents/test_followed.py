"""Peaks with names, from frames to the data of derived events, and back out of stored ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bluesky_diffractogram.config import ConfigError, load_config
from bluesky_diffractogram.documents.derived_keys import EventData, data_keys, references_after
from bluesky_diffractogram.documents.earlier import EarlierEvent
from bluesky_diffractogram.documents.messages import OriginOfFrame
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.sim.beamline import simulated_beamline

# Fits are compiled once, in one of the processes.
pytestmark = pytest.mark.xdist_group("fits")

# The 200 lines of bcc and fcc iron, d in Å at 300 K as `heated_iron` has them; no other line is near.
ALPHA, GAMMA = 2.8665 / 2.0, 3.573 / 2.0
PEAKS = {
    "fit": "pseudo-voigt",
    "track": [{"name": "strong", "near": 6.5, "within": 0.3, "unit": "2th [deg]"}],
    "phases": [
        {"name": "alpha", "spacings": {"200": ALPHA}},
        {"name": "gamma", "spacings": {"200": GAMMA}, "within": 0.03},
    ],
}
TEMPERATURES = [300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0, 1000.0, 1330.0, 1360.0, 1390.0]
FIGURES = ("position", "height", "fwhm", "area")


@pytest.fixture(scope="module")
def beamline(tmp_path_factory):
    return simulated_beamline(tmp_path_factory.mktemp("beamline"), detector="small", acquire_time=20.0)


def reducer_of(beamline, **peaks):
    settings = {"diff_ranges": [[-20, 100, 5.5, 13.0]], "diff_number": 1, "npt": 500, "peaks": {**PEAKS, **peaks}}
    config = load_config({**beamline.configuration, **settings})
    return Reducer(config, open_geometry(config), beamline.detector.frames.shape)


@pytest.fixture(scope="module")
def events(beamline):
    reducer = reducer_of(beamline)
    made = EventData(reducer)
    frames = (beamline.detector.frames.frame(n, t, 20.0) for n, t in enumerate(TEMPERATURES))
    events = [made.data(reducer.reduce(Frame(image, 0.0)), origin(n)) for n, image in enumerate(frames)]
    return reducer, events


def origin(number: int) -> OriginOfFrame:
    return OriginOfFrame(
        stream="primary", event_uid=f"event {number}", seq_num=number + 1, frame_index=0, carried={}, timestamps={}
    )


def expected(beamline, temperature: float, spacing: float) -> float:
    """Bragg's law, for the sample's line of this d at 300 K."""
    phases = beamline.sample.phases
    line = int(np.abs(np.concatenate([phase.spacings for phase in phases]) - spacing).argmin())
    return beamline.two_theta(temperature)[line]


def test_every_figure_is_a_data_key_with_its_unit(events):
    reducer, made = events
    keys = data_keys(reducer, {})
    for name in ("strong", "alpha_200", "gamma_200"):
        for figure in FIGURES:
            for key in (f"peak_1_{name}_{figure}", f"peak_1_{name}_{figure}_error"):
                assert keys[key]["dtype"] == "number"
                assert keys[key]["units"] == {"position": "deg", "fwhm": "deg", "area": "counts deg"}.get(
                    figure, "counts"
                )
        assert keys[f"peak_1_{name}_seen"]["dtype"] == "integer"
    assert all(set(data) <= set(keys) for data in made)


def test_lines_are_where_braggs_law_has_them_at_every_temperature(events, beamline):
    _, made = events
    for data, temperature in zip(made, TEMPERATURES, strict=True):
        for name, spacing, there in (
            ("alpha_200", ALPHA, temperature < 1100),
            ("gamma_200", GAMMA, temperature > 1300),
        ):
            position, error = data[f"peak_1_{name}_position"], data[f"peak_1_{name}_position_error"]
            assert data[f"peak_1_{name}_seen"] == int(there), (name, temperature)
            if there:
                # Pixels are half as wide as a line, and the simulation looks at their centres.
                assert abs(position - expected(beamline, temperature, spacing)) < 5.0 * error + 0.015
                assert 0.0 < error < 0.03
            else:
                assert all(math.isnan(data[f"peak_1_{name}_{figure}{e}"]) for figure in FIGURES for e in ("", "_error"))


def test_the_first_that_has_a_name_is_the_peak_of_its_range(events):
    _, made = events
    for data in made:
        for figure in FIGURES:
            np.testing.assert_equal(data[f"peak_1_{figure}"], data[f"peak_1_strong_{figure}"])


def test_without_fits_there_are_no_uncertainties(beamline):
    keys = data_keys(reducer_of(beamline, fit=None), {})
    assert "peak_1_strong_position" in keys
    assert not any(key.endswith("_position_error") for key in keys)


def test_what_was_stored_goes_on_as_it_would_have(events, beamline):
    reducer, made = events
    again = EventData(reducer)
    frames = beamline.detector.frames
    first = again.data(reducer.reduce(Frame(frames.frame(0, TEMPERATURES[0], 20.0), 0.0)), origin(0))
    references = references_after((None,), first)
    for n, stored in enumerate(made[1:8], 1):
        data = again.again(EarlierEvent(stored, references), origin(n))
        assert data is not None
        references = references_after(references, data)
    for n in range(8, len(made)):
        data = again.data(reducer.reduce(Frame(frames.frame(n, TEMPERATURES[n], 20.0), 0.0)), origin(n))
        for key in data:
            np.testing.assert_array_equal(data[key], made[n][key], err_msg=key)


def test_what_was_stored_after_other_peaks_is_not_taken(events, beamline):
    reducer, made = events
    again = EventData(reducer)
    again.data(reducer.reduce(Frame(beamline.detector.frames.frame(0, TEMPERATURES[0], 20.0), 0.0)), origin(0))
    other = {**made[0], "peak_1_alpha_200_position": made[0]["peak_1_alpha_200_position"] + 0.01}
    assert again.again(EarlierEvent(made[1], references_after((None,), other)), origin(1)) is None


def test_automatic_ones_are_named_by_their_strength(beamline):
    reducer = reducer_of(beamline, track="auto", phases=None, fit=None, auto=3)
    image = beamline.detector.frames.frame(0, 300.0, 20.0)
    data = EventData(reducer).data(reducer.reduce(Frame(image, 0.0)), origin(0))
    heights = [data[f"peak_1_p{k}_height"] for k in (1, 2, 3)]
    assert heights == sorted(heights, reverse=True)
    assert data["peak_1_position"] == data["peak_1_p1_position"]


def test_a_line_outside_a_range_has_no_keys_there(beamline):
    reducer = reducer_of(beamline, track=[{"name": "far", "near": 20.0, "within": 0.5}])
    assert [line.name for line in reducer.tracked[0]] == ["alpha_200", "gamma_200"]


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        ({"name": "x", "calibrant": "CeO3"}, "CeO2"),
        ({"name": "x"}, "one of calibrant and spacings"),
    ],
)
def test_what_cannot_be_followed_is_refused_when_it_is_configured(beamline, phase, said):
    with pytest.raises(ConfigError, match=said):
        open_geometry(load_config({**beamline.configuration, "peaks": {"phases": [phase]}}))

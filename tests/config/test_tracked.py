"""What may be written under peaks.fit, track, phases and auto."""

from __future__ import annotations

import json

import pytest

from bluesky_diffractogram.config import ConfigError, configuration, load_config

PEAK = {"name": "111", "near": 3.12, "within": 0.2}


@pytest.fixture
def load(flat_poni):
    return lambda **peaks: load_config({"calibration": str(flat_poni), "peaks": peaks})


@pytest.mark.parametrize(
    "peaks",
    [
        {"fit": "pseudo-voigt"},
        {"fit": "Pseudo-Voigt", "track": [PEAK, {**PEAK, "name": "m1", "unit": "d [A]"}]},
        {"phases": [{"name": "ceria", "calibrant": "CeO2", "most": 4, "within": 0.02}]},
        {"phases": [{"name": "a", "spacings": [3.1, 2.7]}, {"name": "b", "spacings": {"200": 2.7, "111": 3.1}}]},
        {"track": "auto"},
        {"track": "auto", "auto": 3},
        {"auto": 2},
    ],
)
def test_it_comes_back_as_it_was_given(load, peaks):
    config = load(**peaks)
    given = json.loads(json.dumps(configuration(config)))
    assert load_config(given) == config


def test_automatic_is_five_unless_said(load):
    assert load(track="auto").peaks.auto == 5
    assert load(track="auto", auto=3).peaks.auto == 3
    assert load().peaks.auto == 0
    assert not load().peaks.tracked


def test_lines_are_kept_from_large_d_to_small(load):
    (phase,) = load(phases=[{"name": "a", "spacings": {"200": 2.7, "111": 3.1}}]).peaks.phases
    assert phase.spacings == (("111", 3.1), ("200", 2.7))


@pytest.mark.parametrize(
    ("peaks", "said"),
    [
        ({"fit": "gauss"}, "peaks.fit = 'gauss': allowed: 'pseudo-voigt'"),
        ({"track": [{**PEAK, "withn": 1}]}, "peaks.track.0.withn = 1: unknown key; allowed: peaks.track.0.within"),
        (
            {"track": [{"name": "111", "near": 3.12}]},
            "peaks.track.0.within = None: it is missing; allowed: how far from there it may be then",
        ),
        ({"track": [{**PEAK, "name": "1 1 1"}]}, "peaks.track.0.name = '1 1 1': allowed: a name of letters"),
        ({"track": [{**PEAK, "within": 0}]}, "peaks.track.0.within = 0: allowed: a number above 0"),
        ({"track": [{**PEAK, "unit": "inch"}]}, "peaks.track.0.unit = 'inch': allowed: 'q [1/nm]'"),
        ({"track": [PEAK, PEAK]}, "peaks.track = '111': allowed: names of which no two"),
        ({"track": 3}, "peaks.track = 3: allowed: a list of mappings with the keys name, near, within, unit"),
        ({"phases": [{"name": "a"}]}, "peaks.phases.0.calibrant = None: allowed: one of calibrant and spacings"),
        ({"phases": [{"name": "a", "spacings": [3.0, -1.0]}]}, "peaks.phases.0.spacings = "),
        ({"phases": [{"name": "a", "spacing": [3.0]}]}, "peaks.phases.0.spacings, the nearest known key"),
        ({"auto": -1}, "peaks.auto = -1: allowed: an integer"),
    ],
)
def test_an_error_names_the_key_in_its_place(load, peaks, said):
    with pytest.raises(ConfigError) as raised:
        load(**peaks)
    assert said in str(raised.value)

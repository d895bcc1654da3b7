"""What is set for a geometry that moves."""

from __future__ import annotations

import json
import math

import pytest

from bluesky_diffractogram.config import ConfigError, configuration, load_config, update_config
from bluesky_diffractogram.config.moving import KINDS, TOLERANCES, Reading, told_value
from bluesky_diffractogram.config.quantities import factor_of


def test_a_name_is_a_reading_with_the_defaults(poni):
    config = load_config({"calibration": poni, "geometry": {"distance": "z", "energy": {"key": "e", "unit": "eV"}}})
    assert config.geometry.distance == Reading(key="z")
    assert config.geometry.of_wavelength == "energy"
    shown = json.loads(json.dumps(configuration(config)["geometry"]))
    assert shown == {"distance": {"key": "z"}, "energy": {"key": "e", "unit": "eV"}}
    assert load_config({"calibration": poni, "geometry": shown}) == config
    for none in (None, False):
        assert update_config(config, {"geometry": none}).geometry is None
    assert update_config(config, {"geometry": {"rot1": "t"}}).geometry.distance is None  # as a whole


@pytest.mark.parametrize(("geometry", "said"), [
    ({}, r"geometry = \{\}: allowed: a mapping with at least one of distance, poni1"),
    ("det_z", r"geometry = 'det_z': allowed: a mapping of any of distance, poni1.* to data keys, or null"),
    ({"dist": "z"}, r"geometry\.dist = 'z': unknown key; allowed: geometry\.distance, the nearest"),
    ({"distance": 5}, r"geometry\.distance = 5: allowed: the name of a data key, or a mapping with any of key, unit"),
    ({"distance": ""}, r"geometry\.distance = '': allowed: a name"),
    ({"distance": {"unit": "mm"}}, r"geometry\.distance\.key = None: it is missing"),
    ({"distance": {"key": "z", "units": "mm"}}, r"geometry\.distance\.units.*unknown key; allowed: geometry\.distance"),
    ({"distance": {"key": "z", "unit": "deg"}}, r"geometry\.distance\.unit = 'deg': allowed: 'm', 'cm', 'mm'"),
    ({"rot1": {"key": "z", "unit": "mm"}}, r"geometry\.rot1\.unit = 'mm': allowed: 'rad', 'mrad'"),
    ({"energy": {"key": "z", "unit": "meV"}}, r"geometry\.energy\.unit = 'meV': allowed: 'eV', 'keV', 'MeV'"),
    ({"distance": {"key": "z", "scale": 0}}, r"geometry\.distance\.scale = 0.0: allowed: a number other than 0"),
    ({"distance": {"key": "z", "tolerance": -1}}, r"geometry\.distance\.tolerance = -1: allowed: a number of at le"),
    ({"poni": {"key": "p", "offset": 1}}, r"geometry\.poni\.offset = 1.0: allowed: key alone"),
    ({"energy": "e", "wavelength": "w"}, r"geometry\.energy = 'e': both tell the same; allowed: one of"),
])  # fmt: skip
def test_what_is_wrong_is_said_when_it_is_given(poni, geometry, said):
    with pytest.raises(ConfigError, match=said):
        load_config({"calibration": poni, "geometry": geometry})


@pytest.mark.parametrize("fixed", [{"energy": 12.0}, {"wavelength": 1e-10}])
@pytest.mark.parametrize("moving", ["energy", "wavelength"])
def test_a_wavelength_cannot_be_fixed_and_move(poni, fixed, moving):
    (key,) = fixed
    with pytest.raises(ConfigError, match=rf"^{key} = .*both tell the same; allowed: null where geometry\.{moving}"):
        load_config({"calibration": poni, "geometry": {moving: "mono"}, **fixed})
    load_config({"calibration": poni, "geometry": {"poni": "p", "distance": "z"}, **fixed})


@pytest.mark.parametrize(("text", "kind", "factor"), [
    ("mm", "length", 1e-3), ("MM", "length", 1e-3), (" millimeters ", "length", 1e-3), ("µm", "length", 1e-6),
    ("μm", "length", 1e-6), ("micron", "length", 1e-6), ("Å", "length", 1e-10), ("A", "length", 1e-10),
    ("Angstroms", "length", 1e-10), ("metre", "length", 1.0), ("nm", "length", 1e-9),
    ("deg", "angle", math.pi / 180), ("degrees", "angle", math.pi / 180), ("°", "angle", math.pi / 180),
    ("mrad", "angle", 1e-3), ("urad", "angle", 1e-6), ("radians", "angle", 1.0),
    ("eV", "energy", 1e-3), ("keV", "energy", 1.0), ("KEV", "energy", 1.0), ("MeV", "energy", 1e3),
])  # fmt: skip
def test_units_as_control_systems_write_them(text, kind, factor):
    assert factor_of(text, kind) == pytest.approx(factor, rel=1e-15)


@pytest.mark.parametrize(("text", "kind"), [("mm", "angle"), ("mev", "energy"), ("meV", "energy"), ("steps", "length")])
def test_other_units_are_refused_in_words(text, kind):
    with pytest.raises(ValueError, match=f"'{text}' is no unit of an? {kind} that is known; "):
        factor_of(text, kind)


@pytest.mark.parametrize(("settings", "parameter", "value", "unit", "told"), [
    ({}, "distance", 0.1500003, None, 0.15),
    ({}, "distance", 0.1500007, None, 0.150001),
    ({"scale": -1.0, "offset": 500.0}, "distance", 200.0, "mm", 0.3),
    ({"scale": 0.0025, "offset": 100.0, "unit": "mm"}, "distance", 40_000, "steps", 0.2),
    ({"tolerance": 0.0}, "distance", 0.1500003, None, 0.1500003),
    ({"tolerance": 1e-3}, "distance", 150.4, "mm", 0.15),
    ({}, "rot1", 2.0, "deg", 0.0349065850399),
    ({}, "energy", 12.000049, None, 12.0),
    ({}, "energy", 12000.2, "eV", 12.0002),
    ({}, "wavelength", 1.03321654, "A", 1.03322e-10),
    ({}, "distance", 1e308, None, 1e308),
    ({"scale": 5e-324}, "distance", 1.0, "pm", 0.0),
    ({"tolerance": 1e308}, "distance", 1.0, None, 1.0),
])  # fmt: skip
def test_a_reading_tells_a_value(settings, parameter, value, unit, told):
    assert told_value(Reading(key="k", **settings), parameter, value, unit) == told


def test_jitter_about_round_readings_tells_the_same():
    """Whatever the unit and the offset are, motors are sent to round numbers."""
    for parameter, kind in KINDS.items():
        for unit in {"length": ("m", "mm", "cm"), "angle": ("rad", "deg", "mrad"), "energy": ("eV", "keV")}[kind]:
            reading, factor = Reading(key="k", offset=0.123456), factor_of(unit, kind)
            jitter = 0.2 * TOLERANCES[parameter] / factor
            for nominal in (0.7, 1.0, 12.0, 17.3):
                told = {told_value(reading, parameter, nominal + part * jitter, unit) for part in (-1, -0.3, 0, 0.5, 1)}
                (only,) = told
                assert only == pytest.approx((nominal + 0.123456) * factor, rel=1e-11)


def test_every_setting_has_a_description(poni):
    config = load_config({"calibration": poni, "geometry": {"distance": "z"}})
    for model in (type(config.geometry), Reading):
        assert all(field.description for field in model.model_fields.values())

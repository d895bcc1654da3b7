"""What is set for further detectors."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bluesky_diffractogram.config import (
    ConfigError,
    alters_stream,
    as_if_alone,
    configuration,
    configuration_json,
    empties_buffers,
    load_config,
    same_meaning,
    update_config,
)


@pytest.fixture
def two(poni, flat_poni):
    return {
        "calibration": str(poni), "image_key": "det1", "merge": [{"image_key": "det2", "calibration": str(flat_poni)}]
    }  # fmt: skip


def with_second(two, **settings):
    return {**two, "merge": [{**two["merge"][0], **settings}]}


def test_a_further_detector_has_the_defaults_of_the_first(two, flat_poni):
    config = load_config(two)
    (entry,) = config.merge
    assert (entry.image_key, entry.calibration) == ("det2", str(flat_poni))
    assert (entry.scale, entry.optional) == (1.0, False)
    for key in type(entry).model_fields.keys() - {"image_key", "calibration", "scale", "optional"}:
        assert getattr(entry, key) == type(config).model_fields[key].default, key


def test_none_are_none(poni):
    for nothing in (None, []):
        assert load_config({"calibration": str(poni), "merge": nothing}).merge == ()
    assert "merge" not in configuration(load_config({"calibration": str(poni)}))


def test_relative_paths_are_relative_to_the_file(two, tmp_path):
    two["merge"][0]["calibration"] = "flat.poni"
    (tmp_path / "cfg.json").write_text(json.dumps(two))
    assert load_config(tmp_path / "cfg.json").merge[0].calibration == str(tmp_path / "flat.poni")


def test_a_configuration_comes_back_equal_with_its_arrays(two):
    mask = np.eye(240, 260, dtype=bool)
    config = load_config(
        with_second(two, mask=mask, scale=2, valid_range=[0, None], binning=2, transformation="Rot-90")
    )
    shown = configuration(config)
    assert set(shown["merge"][0]) == {
        "image_key", "calibration", "mask", "scale", "valid_range", "binning", "transformation"
    }  # fmt: skip
    again = load_config(shown)
    assert again == config
    assert hash(again) == hash(config)
    assert again != load_config(with_second(two, mask=~mask))
    plain = configuration_json(config, lambda key, array: f"/there/{key}.npy")
    assert json.loads(json.dumps(plain))["merge"][0]["mask"] == "/there/merge_0_mask.npy"


def test_it_is_replaced_as_a_whole(two):
    config = load_config(with_second(two, scale=2))
    assert update_config(config, {"npt": 10}).merge == config.merge
    assert update_config(config, two).merge[0].scale == 1.0
    assert update_config(config, {"merge": None}).merge == ()


def test_a_change_alters_the_numbers(two):
    config, other = load_config(two), load_config(with_second(two, scale=2))
    assert alters_stream(config, other)
    assert empties_buffers(config, other)
    assert not alters_stream(config, load_config(two))


def test_data_of_files_elsewhere_may_stand_side_by_side_and_of_another_scale_may_not(two, tmp_path):
    one = configuration(load_config(two))
    moved = {**one, "merge": [{**one["merge"][0], "calibration": "/elsewhere/flat.poni"}]}
    assert same_meaning(one, moved)
    assert not same_meaning(one, {**one, "merge": [{**one["merge"][0], "scale": 2.0}]})
    assert not same_meaning(one, {key: value for key, value in one.items() if key != "merge"})


def test_darks_of_the_run_are_those_of_each_detector_under_its_own_key(two, tmp_path):
    config = load_config({**two, "dark": {"stream": "dark", "image_key": "det1_dark"}})
    alone = as_if_alone(config, 0)
    assert (alone.dark_of_run.stream, alone.dark_of_run.image_key) == ("dark", None)
    constant = load_config({**with_second(two, dark=np.zeros((2, 2))), "dark": {"stream": "dark"}})
    assert as_if_alone(constant, 0).dark_of_run is None
    with pytest.raises(ConfigError, match=r"merge\.0\.dark = .*allowed: "):
        load_config(with_second(two, dark={"stream": "dark"}))


def test_a_detector_as_if_it_was_the_only_one(two, flat_poni):
    config = load_config({**with_second(two, dummy=7.0), "normalization": "monitor", "npt": 33, "dummy": 1.0})
    alone = as_if_alone(config, 0)
    assert (alone.calibration, alone.image_key, alone.dummy, alone.npt) == (str(flat_poni), "det2", 7.0, 33)
    assert (alone.merge, alone.normalization) == ((), None)
    assert alone.npts == config.npts
    assert alone.ranges == config.ranges


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ({"maks": None}, r"merge\.0\.maks = None: unknown key; allowed: merge\.0\.mask, the nearest known key"),
        ({"diff_units": "q [1/A]"}, r"merge\.0\.diff_units = 'q \[1/A\]': unknown key"),
        ({"image_key": " "}, r"merge\.0\.image_key = ' ': allowed: a name"),
        ({"image_key": "det1"}, r"merge\.0\.image_key = 'det1': allowed: another data key for each detector"),
        ({"calibration": "/nowhere.poni"}, r"merge\.0\.calibration = '/nowhere.poni': it does not exist"),
        ({"scale": 0}, r"merge\.0\.scale = 0: allowed: a number above 0"),
        (
            {"geometry": {"energy": "e"}},
            r"merge\.0\.geometry\.energy = 'e': .*one beam.*: null; or geometry\.energy",
        ),
        ({"geometry": {"dist": "z"}}, r"merge\.0\.geometry\.dist = 'z': .*merge\.0\.geometry\.distance, the nearest"),
        ({"geometry": {"rot1": {"key": "a", "unit": "mm"}}}, r"merge\.0\.geometry\.rot1\.unit = 'mm': allowed: "),
        ({"geometry": {"rot1": {"kye": "a"}}}, r"merge\.0\.geometry\.rot1\.kye = 'a': .*merge\.0\.geometry\.rot1\.key"),
        ({"optional": "perhaps"}, r"merge\.0\.optional = 'perhaps': allowed: true or false"),
        ({"transformation": "rot"}, r"merge\.0\.transformation = 'rot': allowed: 'none'"),
        ({"valid_range": [3, 1]}, r"merge\.0\.valid_range = \[3, 1\]: the minimum is above the maximum"),
        ({"mask": [[1, 2], [3]]}, r"merge\.0\.mask = .*its rows differ in length"),
    ],
)
def test_what_is_wrong_is_named(two, second, told):
    with pytest.raises(ConfigError, match=told):
        load_config(with_second(two, **second))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"merge": {"image_key": "det2"}},
            "merge = .*allowed: a list of mappings with the keys image_key, calibration",
        ),
        ({"merge": ["det2"]}, "merge = .*allowed: a list of mappings"),
        ({"merge": [{"image_key": "det2"}]}, r"merge\.0\.calibration = None: it is missing"),
        ({"image_key": None}, "image_key = None: allowed: the data key of the first detector"),
        ({"diff_units": "r [mm]"}, r"diff_units = 'r \[mm\]': r is another on each detector"),
        ({"range_unit": "r_pixel"}, "range_unit = .*r is another on each detector"),
        ({"error_model": "azimuthal"}, "error_model = 'azimuthal'.*allowed: 'poisson' or null, with merge"),
        ({"statistic": "median"}, "statistic = 'median'.*allowed: 'mean', with merge"),
        ({"cake": True}, "cake = .*a cake is of one detector; allowed: null, with merge"),
    ],
)
def test_what_several_detectors_have_no_answer_to_is_refused(two, settings, told):
    with pytest.raises(ConfigError, match=told):
        load_config({**two, **settings})


def test_a_geometry_of_its_own_comes_back_equal_and_alone(two):
    told = {"distance": {"key": "z", "unit": "mm"}, "poni": "file"}
    config = load_config(with_second(two, geometry=told))
    assert (config.moves, config.geometry) == (True, None)
    assert configuration(config)["merge"][0]["geometry"] == {**told, "poni": {"key": "file"}}
    assert load_config(configuration(config)) == config
    assert as_if_alone(config, 0).geometry == config.merge[0].geometry
    assert alters_stream(load_config(two), config)
    assert load_config({**two, "geometry": {"energy": "e"}}).moves
    assert not load_config(two).moves

"""What load_config takes, in every form, and the way back."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluesky_diffractogram.config import (
    Arc,
    Commands,
    ConfigError,
    DiffractogramConfig,
    DiffractogramRange,
    PeaksConfig,
    configuration,
    configuration_json,
    load_config,
    read_settings,
    split_commands,
    update_config,
)

LAVUE = {
    "diff_number": 2,
    "diff_ranges": [[10, 20, 0, 10], [-5, 5, 5, 15]],
    "diff_units": "r [mm]",
    "buffering": True,
    "buffer_size": 512,
}


def check_lavue(config: DiffractogramConfig, poni: Path) -> None:
    assert config.calibration == str(poni)
    assert config.ranges == (
        DiffractogramRange(1, Arc(10, 10), 0, 10, True),
        DiffractogramRange(2, Arc(-5, 10), 5, 15, True),
    )
    assert (config.unit.name, config.buffering, config.buffer_size) == ("r_mm", True, 512)
    assert config.radial_limit_unit is not None
    assert config.radial_limit_unit.name == "2th_deg"


def test_lavues_example_works_as_dictionary_json_string_and_file(poni: Path, tmp_path: Path) -> None:
    lavue = {"calibration": str(poni), **LAVUE}
    relative = {"calibration": poni.name, **LAVUE}
    files = {
        "cfg.json": json.dumps(relative),
        "cfg.yaml": json.dumps(relative),
        "cfg.YML": json.dumps(relative),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    for source in (lavue, json.dumps(lavue), "  \n" + json.dumps(lavue, indent=1)):
        check_lavue(load_config(source), poni)
    for name in files:
        check_lavue(load_config(tmp_path / name), poni)
        check_lavue(load_config(str(tmp_path / name)), poni)


def test_the_defaults_are_the_tables(poni: Path) -> None:
    config = load_config({"calibration": poni})
    assert config.model_dump(exclude={"peaks", "statistic", "calibration"}) == {
        "diff_ranges": (), "diff_number": 1, "diff_units": "q [1/nm]", "buffer_size": 1024, "buffering": True,
        "collect": True, "show_diff": True, "main_plot": "image", "npt": 1000, "range_unit": "2th_deg",
        "correct_solid_angle": True, "polarization_factor": None, "error_model": None, "method": "bbox",
        "wavelength": None, "energy": None, "geometry": None, "normalization": None,
        "transformation": "none", "mask": None, "dark": None, "flat": None, "background": None,
        "background_curve": None, "background_unit": None, "background_scale": 1.0, "absorption": None,
        "mask_transformed": False, "mask_invalid": True, "dummy": None,
        "delta_dummy": None, "valid_range": None, "detector_shape": None,
        "binning": None, "merge": (), "image_key": None, "stream": "primary", "frames_per_event": "each",
        "carry": None, "cake": None, "count": False, "queue_size": 16, "when_full": "block", "reset_on_start": False,
        "hinted": None, "colors": None, "assets_dir": None,
    }  # fmt: skip
    assert config.peaks == PeaksConfig(method="default", max_peaks=20, min_snr=5.0, min_fwhm_bins=None)
    assert config.ranges == (DiffractogramRange(1),)
    assert config.npts == (1000,)
    assert config.split_method == ("bbox", "csr", "cython")
    assert config.wavelength_m is None


def test_every_key_has_a_description() -> None:
    for model in (DiffractogramConfig, PeaksConfig):
        assert all(field.description for field in model.model_fields.values())


def test_relative_paths_are_the_files_then_the_bases_then_the_working_directorys(
    poni: Path, tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "cfg.yaml").write_text(
        "calibration: ../setup.poni\nmask: m.npy\nassets_dir: new\ndark: a.h5::/entry/dark\n"
    )
    for name in ("m.npy", "a.h5"):
        (tmp_path / "sub" / name).touch()
    config = load_config(tmp_path / "sub" / "cfg.yaml")
    assert (config.calibration, config.mask) == (str(poni), str(tmp_path / "sub" / "m.npy"))
    assert config.assets_dir == str(tmp_path / "sub" / "new")
    assert config.dark == str(tmp_path / "sub" / "a.h5::/entry/dark")
    assert load_config({"calibration": "setup.poni"}, base=tmp_path).calibration == str(poni)
    monkeypatch.chdir(tmp_path)
    assert load_config({"calibration": "setup.poni"}).calibration == str(poni)
    assert load_config("sub/cfg.yaml") == config


def test_yaml_means_what_it_says(poni: Path, tmp_path: Path) -> None:
    """PyYAML alone reads 1e-10 as text, no as false, 010 as 8 and 1_000 as 1000."""
    path = tmp_path / "cfg.yaml"
    path.write_text(
        "calibration: setup.poni\nmethod: no\nwavelength: 1e-10\nnpt: 1e3\nvalid_range: [010, .5e3]\n"
        "diff_ranges:\n- [~, 90, 0, null]\n-\nbuffering: False\nmask_invalid: true\nbuffer_size: 0x10\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert (caught.value.key, caught.value.value) == ("buffer_size", "0x10")
    path.write_text(path.read_text().replace("0x10", "16"))
    config = load_config(path)
    assert config.split_method == ("no", "csr", "cython")
    assert (config.wavelength, config.npt, config.valid_range) == (1e-10, 1000, (10.0, 500.0))
    assert config.ranges == (DiffractogramRange(1, Arc(0, 90), 0, None, True), DiffractogramRange(2))
    assert (config.buffering, config.mask_invalid) == (False, True)


def test_a_configuration_is_given_back_as_it_is_and_defaults_fill_in(poni: Path) -> None:
    config = load_config({"calibration": poni, "npt": 10}, defaults={"npt": 20, "buffer_size": 7})
    assert (config.npt, config.buffer_size) == (10, 7)
    assert load_config(config) is config
    assert load_config(config, defaults={"npt": 5, "queue_size": 3}) == load_config(
        {"calibration": poni, "npt": 10, "buffer_size": 7, "queue_size": 3}
    )


def test_missing_ranges_are_the_whole_detector_and_further_ones_are_kept(poni: Path) -> None:
    ranges = LAVUE["diff_ranges"]
    three = load_config({"calibration": poni, "diff_ranges": ranges, "diff_number": 3, "npt": [10, 20, 30]})
    assert [one.arc.full for one in three.ranges] == [False, False, True]
    assert (three.ranges[2], three.npts) == (DiffractogramRange(3), (10, 20, 30))
    one = load_config({"calibration": poni, "diff_ranges": ranges, "diff_number": 1, "npt": [10, 20]})
    assert (len(one.ranges), one.npts) == (1, (10,))
    assert configuration(one)["diff_ranges"] == ranges
    assert update_config(one, {"diff_number": 2}).ranges == three.ranges[:2]
    assert load_config({"calibration": poni, "diff_ranges": [None, ranges[0]]}).ranges[0] == DiffractogramRange(1)
    assert load_config({"calibration": poni, "diff_ranges": None, "diff_number": None}).diff_number == 1


def test_values_come_out_in_one_form(poni: Path) -> None:
    config = load_config(
        {
            "calibration": poni, "diff_number": np.int64(2), "diff_units": "Q_a^-1", "range_unit": "Same",
            "main_plot": "Buffer 2", "buffering": 0, "collect": np.True_, "npt": 64.0,
            "method": ["Full", "csc", "OpenCL", [0, 1]], "error_model": "Poisson", "binning": 2, "carry": [],
            "detector_shape": [10, 20], "colors": [[255, 0, 9], "tab:red"], "peaks": {"method": "LAVUE"},
            "energy": 12.398419843320026, "transformation": "Rot-90", "valid_range": [None, 5],
        }
    )  # fmt: skip
    assert (config.diff_number, config.diff_units, config.unit.name) == (2, "q [1/A]", "q_A^-1")
    assert (config.range_unit, config.radial_limit_unit) == ("same", None)
    assert (config.main_plot, config.buffering, config.collect) == ("buffer 2", False, True)
    assert config.split_method == ("full", "csc", "opencl", (0, 1))
    assert (config.error_model, config.transformation) == ("poisson", "rot-90")
    assert (config.binning, config.detector_shape) == ((2, 2), (10, 20))
    assert config.colors == ((255, 0, 9), "tab:red")
    assert (config.carry, config.valid_range, config.npts) == ((), (None, 5.0), (64, 64))
    assert config.peaks == PeaksConfig(method="lavue")
    assert config.wavelength_m == pytest.approx(1e-10, rel=1e-12)
    assert load_config({"calibration": poni, "range_unit": "r [mm]"}).range_unit == "r_mm"


def test_no_peak_search_is_false_or_null_and_true_is_the_default_one(poni: Path) -> None:
    for value in (False, None):
        assert load_config({"calibration": poni, "peaks": value}).peaks is None
    assert load_config({"calibration": poni, "peaks": True}).peaks == PeaksConfig()


def test_arrays_are_kept_apart_from_their_givers_and_read_only(poni: Path) -> None:
    mask = np.zeros((2, 3), dtype=np.int8)
    config = load_config({"calibration": poni, "mask": mask, "flat": [[1, 2], [3, 4.5]]})
    mask[0, 0] = 1
    assert not config.mask.any()
    assert config.mask.dtype == np.int8
    assert config.flat.tolist() == [[1, 2], [3, 4.5]]
    with pytest.raises(ValueError, match="read-only"):
        config.mask[0, 0] = 1
    assert update_config(config, {"npt": 5}).mask is config.mask


def test_a_configuration_can_be_copied_pickled_and_hashed_and_is_frozen(poni: Path) -> None:
    config = load_config({"calibration": poni, **LAVUE, "mask": np.eye(3)})
    for other in (copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert other == config
        assert other.ranges == config.ranges
        assert hash(other) == hash(config)
    assert config != load_config({"calibration": poni, **LAVUE, "mask": np.eye(4)})
    assert config != load_config({"calibration": poni, **LAVUE, "mask": np.eye(3, dtype=bool)})
    assert config != load_config({"calibration": poni, **LAVUE})
    with pytest.raises(Exception, match="frozen"):
        config.npt = 3


def test_configuration_holds_lavues_nine_keys_and_what_differs(poni: Path) -> None:
    nine = {
        "calibration": str(poni), "diff_number": 1, "diff_ranges": [], "diff_units": "q [1/nm]",
        "buffer_size": 1024, "buffering": True, "collect": True, "show_diff": True, "main_plot": "image",
    }  # fmt: skip
    assert configuration(load_config({"calibration": poni})) == nine
    assert configuration(load_config({"calibration": poni, "npt": 1000, "peaks": {"max_peaks": 20}})) == nine
    mask = np.eye(3, dtype=bool)
    given_settings = {
        **nine, "diff_ranges": [[10, 20.5, None, 3], None], "diff_number": 2, "npt": [5, 6], "mask": mask,
        "peaks": {"method": "lavue", "min_snr": 3.0}, "colors": [[1, 2, 3], "red"], "binning": [2, 2],
        "method": ["bbox", "csr", "opencl", [0, 0]],
    }  # fmt: skip
    config = load_config(given_settings)
    shown = configuration(config)
    assert np.array_equal(shown.pop("mask"), mask)
    assert shown == {key: value for key, value in given_settings.items() if key != "mask"}
    asked = []
    shown = configuration_json(config, lambda key, array: asked.append((key, array.shape)) or f"/data/{key}.npy")
    assert asked == [("mask", (3, 3))]
    assert json.loads(json.dumps(shown)) == {**given_settings, "mask": "/data/mask.npy"}


numbers = st.one_of(st.none(), st.integers(-720, 720), st.floats(-720, 720))
radial = st.one_of(st.none(), st.integers(-180, 180), st.floats(-180, 180))
arrays = st.sampled_from(
    [np.eye(3, dtype=bool), np.zeros((2, 5), np.uint16), np.array([[1.5, np.nan]]), [[1, 0], [0, 1]]]
)
positive = st.integers(1, 5000)


def distinct(entry: tuple) -> bool:
    start, end, low, high = entry
    if (start, end) != (None, None):
        start, end = 0 if start is None else start, 360 if end is None else end
        turns = (end - start) / 360
        if end - start < 359.999 and abs(turns - round(turns)) < 1e-6:
            return False
    return low is None or low != high


entries = st.none() | st.tuples(numbers, numbers, radial, radial).filter(distinct)
methods = st.sampled_from(["no", "bbox", "full", ("no", "histogram", "cython"), ["bbox", "csr", "opencl", "gpu"]])
peaks = st.sampled_from([None, False, True, {}, {"method": "lavue-simple"}, {"max_peaks": 3, "min_snr": 2}])
configurations = st.fixed_dictionaries(
    {"diff_ranges": st.lists(entries, max_size=5)},
    optional={
        "diff_number": st.integers(1, 6),
        "diff_units": st.sampled_from(["q [1/A]", "2th_rad", "R [PIXEL]", "d [A]"]),
        "buffer_size": positive,
        "buffering": st.booleans(),
        "collect": st.sampled_from([0, 1]),
        "show_diff": st.booleans(),
        "main_plot": st.sampled_from(["Image", "buffer 1"]),
        "npt": positive,
        "range_unit": st.sampled_from(["2th_deg", "r_mm", "q [1/nm]"]),
        "correct_solid_angle": st.booleans(),
        "polarization_factor": st.none() | st.floats(-1, 1),
        "error_model": st.sampled_from([None, "poisson"]),
        "method": methods,
        "wavelength": st.none() | st.floats(1e-12, 1e-9),
        "normalization": st.none() | st.sampled_from(["monitor", "i0"]),
        "transformation": st.sampled_from(["none", "rot-180+transpose", "flip-up-down"]),
        "mask": st.none() | arrays,
        "dark": st.none() | arrays,
        "flat": st.none() | arrays,
        "dummy": st.none() | st.floats(-10, 1e10),
        "delta_dummy": st.none() | st.floats(0, 2),
        "valid_range": st.sampled_from([None, [None, None], [0, 5], [None, 1e6], [1, 1]]),
        "detector_shape": st.none() | st.tuples(positive, positive),
        "binning": st.none() | st.integers(1, 4) | st.tuples(positive, positive),
        "image_key": st.none() | st.just("det_image"),
        "frames_per_event": st.sampled_from(["each", "mean", "sum"]),
        "carry": st.none() | st.lists(st.sampled_from(["motor", "temperature"])),
        "when_full": st.sampled_from(["block", "drop_oldest", "latest"]),
        "peaks": peaks,
        "hinted": st.none() | st.lists(st.sampled_from(["peak_1_position", "mean_1"])),
        "colors": st.sampled_from([None, [], [[0, 0, 0]], ["red", (1, 2, 3)]]),
        "assets_dir": st.none() | st.just("assets"),
    },
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(given_settings=configurations)
def test_every_configuration_survives_the_way_there_and_back(poni: Path, given_settings: dict) -> None:
    config = load_config({"calibration": poni, **given_settings})
    there = configuration(config)
    assert load_config(there) == config
    assert configuration(load_config(there)).keys() == there.keys()
    plain = {key: value for key, value in there.items() if not isinstance(value, np.ndarray)}
    without = {key: None if key in ("mask", "dark", "flat") else value for key, value in given_settings.items()}
    assert load_config(json.dumps(plain)) == load_config({"calibration": poni, **without})
    assert len(config.ranges) == len(config.npts) == config.diff_number
    assert [one.number for one in config.ranges] == list(range(1, config.diff_number + 1))


def test_commands_are_split_from_settings() -> None:
    given_settings = {"stop_diff": True, "show_diff": True, "next": 1, "npt": 5}
    assert split_commands(given_settings) == ({"show_diff": False, "npt": 5}, Commands(True, True, False))
    assert given_settings["next"] == 1
    assert split_commands({"npt": 5, "reset": True, "stop_diff": False}) == ({"npt": 5}, Commands(reset=True))
    with pytest.raises(ConfigError) as caught:
        split_commands({"next": "yes"})
    assert str(caught.value) == "next = 'yes': allowed: true or false"


def test_commands_in_a_configuration_are_taken_and_are_no_settings(poni: Path) -> None:
    config = load_config({"calibration": poni, "reset": True, "next": False, "stop_diff": True})
    assert not config.show_diff
    assert not {"reset", "next", "stop_diff"} & configuration(config).keys()
    assert not update_config(load_config({"calibration": poni}), '{"stop_diff": true}').show_diff


def test_read_settings_gives_a_dictionary_of_its_own_and_the_folder(tmp_path: Path) -> None:
    (tmp_path / "cfg.json").write_text('{"next": true}')
    assert read_settings(tmp_path / "cfg.json") == ({"next": True}, tmp_path)
    assert read_settings('{"next": true}') == ({"next": True}, None)
    given_settings = {"a": 1}
    settings_, base = read_settings(given_settings, tmp_path)
    assert (settings_, base) == (given_settings, tmp_path)
    assert settings_ is not given_settings


def test_an_update_changes_what_it_says_and_nothing_else(poni: Path) -> None:
    config = load_config({"calibration": poni, **LAVUE})
    before = configuration(config)
    new = update_config(config, {"diff_units": "q [1/A]"})
    assert configuration(new) == {**before, "diff_units": "q [1/A]"}
    assert configuration(config) == before
    assert update_config(config, {}) == config
    assert update_config(config, new) is new
    with pytest.raises(ConfigError, match="npt = 0"):
        update_config(config, {"diff_units": "2th [deg]", "npt": 0})
    assert configuration(config) == before


def test_new_ranges_without_a_number_are_all_active(poni: Path) -> None:
    config = load_config({"calibration": poni, **LAVUE, "diff_number": 4})
    assert update_config(config, {"diff_ranges": [[0, 10, 0, 1]]}).diff_number == 1
    assert update_config(config, {"diff_ranges": []}).diff_number == 1
    assert update_config(config, {"diff_ranges": [[0, 10, 0, 1]], "diff_number": 2}).diff_number == 2
    assert update_config(config, {"diff_ranges": [None] * 3, "diff_number": None}).diff_number == 3
    assert update_config(config, {"npt": 7}).diff_number == 4
    assert update_config(config, {"diff_number": None}).diff_number == 2


def test_energy_replaces_a_wavelength_and_the_other_way_round(poni: Path) -> None:
    config = load_config({"calibration": poni, "wavelength": 1e-10})
    new = update_config(config, {"energy": 80})
    assert (new.wavelength, new.energy) == (None, 80.0)
    assert new.wavelength_m == pytest.approx(0.15498024804150033e-10, rel=1e-12)
    newer = update_config(new, {"wavelength": 2e-11})
    assert (newer.wavelength_m, newer.energy) == (2e-11, None)
    assert update_config(newer, {"energy": None}).wavelength_m == 2e-11


def test_both_in_agreement_are_taken(poni: Path) -> None:
    assert load_config({"calibration": poni, "wavelength": 1e-10, "energy": 12.398}).wavelength_m == 1e-10


def test_warnings_are_logged_once_for_each_configuration(poni: Path, caplog) -> None:
    config = load_config({"calibration": poni, "diff_ranges": [[30, 20, 10, 0]], "delta_dummy": 1})
    assert [record.name.rsplit(".", 1)[1] for record in caplog.records] == ["ranges", "ranges", "consistency"]
    assert caplog.records[2].getMessage() == "delta_dummy = 1 has no effect without dummy"
    caplog.clear()
    assert config.ranges == config.ranges
    assert not caplog.records

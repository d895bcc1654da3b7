# ruff: noqa: E501 (messages are kept whole)
"""What people read when a configuration is wrong: the key, the value, what is allowed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bluesky_diffractogram.config import ConfigError, DiffractogramConfig, load_config, update_config

UNITS = (
    "'q [1/nm]', 'q [1/A]', '2th [deg]', '2th [rad]', 'r [mm]', 'r [pixel]', 'd [A]' "
    "(or pyFAI's names: q_nm^-1, q_A^-1, 2th_deg, 2th_rad, r_mm, r_pixel, d_A)"
)
IMAGE = "the path of an image file, or a two-dimensional array of numbers, or null"
RANGE = "[azimuth start, azimuth end, radial start, radial end], each a number or null; or null for the whole detector"

MESSAGES = [
    ({"diff_unit": "q [1/A]"}, "diff_unit = 'q [1/A]': unknown key; allowed: diff_units, the nearest known key"),
    ({"Diff-Ranges": []}, "Diff-Ranges = []: unknown key; allowed: diff_ranges, the nearest known key"),
    ({"rest": True}, "rest = True: unknown key; allowed: reset, the nearest known key"),
    ({"diff_units": "q [1/mm]"}, f"diff_units = 'q [1/mm]': allowed: {UNITS}"),
    ({"diff_units": 3}, f"diff_units = 3: allowed: {UNITS}"),
    ({"range_unit": "deg"}, f"range_unit = 'deg': allowed: 'same' (the unit of diff_units), {UNITS}"),
    (
        {"diff_ranges": [[10, 20, 0, 10], [10, 20]]},
        f"diff_ranges[1] = [10, 20]: range 2 has 2 entries, not four; allowed: {RANGE}",
    ),
    (
        {"diff_ranges": [10, 20, 0, 10]},
        f"diff_ranges[0] = 10: range 1 is not a list of four; allowed: {RANGE}",
    ),
    ({"diff_ranges": "all"}, f"diff_ranges = 'all': allowed: a list of ranges {RANGE}"),
    (
        {"diff_ranges": [[0, 90, 0, 200]]},
        "diff_ranges[0] = [0, 90, 0, 200]: 200 of range 1 is no scattering angle; "
        "allowed: radial limits up to 180 for 2th [deg], or another range_unit",
    ),
    ({"buffer_size": "512"}, "buffer_size = '512': allowed: an integer of at least 1"),
    ({"buffer_size": 0}, "buffer_size = 0: allowed: an integer of at least 1"),
    ({"buffer_size": 2.5}, "buffer_size = 2.5: allowed: an integer of at least 1"),
    ({"buffer_size": True}, "buffer_size = True: allowed: an integer of at least 1"),
    ({"diff_number": 0}, "diff_number = 0: allowed: an integer of at least 1 and at most 100000"),
    ({"buffering": "yes"}, "buffering = 'yes': allowed: true or false"),
    ({"collect": 2}, "collect = 2: allowed: true or false"),
    ({"main_plot": "buffer 3", "diff_number": 2}, "main_plot = 'buffer 3': allowed: 'image', 'buffer 1', 'buffer 2'"),
    (
        {"main_plot": "curves"},
        "main_plot = 'curves': allowed: 'image', 'buffer 1', 'buffer 2', ..., and 'cake' with the key cake",
    ),
    (
        {"main_plot": "cake", "diff_number": 2},
        "main_plot = 'cake': no cake is made; the key cake says whether and how; allowed: 'image', 'buffer 1', "
        "'buffer 2'",
    ),
    (
        {"main_plot": "buffer 3", "diff_number": 2, "cake": True},
        "main_plot = 'buffer 3': allowed: 'image', 'cake', 'buffer 1', 'buffer 2'",
    ),
    ({"npt": 0}, "npt = 0: allowed: an integer of at least 1 and at most 10000000"),
    ({"npt": [10, "a"]}, "npt = [10, 'a']: allowed: a list of integers from 1, one for each range"),
    (
        {"npt": [10, 20, 30], "diff_number": 2},
        "npt = [10, 20, 30]: there are 3 for 2 ranges; allowed: one integer, or a list of 2, one for each range",
    ),
    ({"wavelength": 1.0}, "wavelength = 1.0: allowed: metres from 1e-13 to 1e-7 (1 Å is 1e-10), or null"),
    ({"energy": 12398}, "energy = 12398: allowed: keV from 0.1 to 1000, or null"),
    (
        {"energy": 12.4, "wavelength": 1.1e-10},
        "wavelength = 1.1e-10: energy = 12.4 keV is a wavelength of 9.99873e-11 m; "
        "allowed: one of wavelength and energy, or both in agreement",
    ),
    ({"statistic": "mode"}, "statistic = 'mode': allowed: 'mean', 'median', 'sigma-clip', or a mapping with any of method, percentile, thres, max_iter"),
    ({"error_model": "gauss"}, "error_model = 'gauss': allowed: 'poisson', 'azimuthal', or null"),
    (
        {"method": "csr"},
        "method = 'csr': allowed: 'no', 'bbox', 'full', or pyFAI's [splitting, algorithm, implementation] out of "
        "no/bbox/pseudo/full, histogram/lut/csr/csc, python/cython/opencl, for OpenCL followed by a device such "
        "as [0, 0], 'gpu' or 'cpu'",
    ),
    ({"polarization_factor": 1.5}, "polarization_factor = 1.5: allowed: a number from -1 to 1, or null"),
    ({"when_full": "wait"}, "when_full = 'wait': allowed: 'block', 'drop_oldest', 'latest'"),
    ({"frames_per_event": "all"}, "frames_per_event = 'all': allowed: 'each', 'mean', 'sum'"),
    ({"mask": [[1, 0], [1]]}, f"mask = [[1, 0], [1]]: its rows differ in length; allowed: {IMAGE}"),
    ({"flat": [1, 2]}, f"flat = [1, 2]: its shape is (2,); allowed: {IMAGE}"),
    ({"background": {"a": 1}}, f"background = {{'a': 1}}: allowed: {IMAGE}"),
    ({"mask": "/no/such.npy"}, f"mask = '/no/such.npy': it does not exist; allowed: {IMAGE}"),
    ({"dummy": "-1"}, "dummy = '-1': allowed: a number, or null"),
    ({"dummy": float("nan")}, "dummy = nan: allowed: a number, or null"),
    (
        {"valid_range": [10, 0]},
        "valid_range = [10, 0]: the minimum is above the maximum; allowed: [minimum, maximum], either of them null, "
        "or null",
    ),
    ({"detector_shape": 5}, "detector_shape = 5: allowed: [rows, columns], integers of at least 1, or null"),
    ({"binning": 0}, "binning = 0: allowed: an integer of at least 1, or [rows, columns] of them, or null"),
    (
        {"colors": [[0, 0, 256]]},
        "colors[0] = [0, 0, 256]: allowed: a list of colours, each [red, green, blue] of integers 0 to 255 or the "
        "text of a matplotlib colour",
    ),
    ({"carry": "motor"}, "carry = 'motor': allowed: a list of names, or null"),
    ({"stream": ""}, "stream = '': allowed: a name"),
    (
        {"peaks": {"max_peak": 3}},
        "peaks.max_peak = 3: unknown key; allowed: peaks.max_peaks, the nearest known key",
    ),
    ({"peaks": {"max_peaks": 0}}, "peaks.max_peaks = 0: allowed: an integer of at least 1 and at most 1000"),
    (
        {"peaks": {"min_fwhm_bins": 3, "max_fwhm_bins": 2}},
        "peaks.max_fwhm_bins = 2.0: allowed: at least min_fwhm_bins, which is 3",
    ),
    ({"peaks": {"max_fwhm_bins": 0}}, "peaks.max_fwhm_bins = 0: allowed: a number of bins above 0, or null"),
    ({"peaks": {"min_snr": 0}}, "peaks.min_snr = 0: allowed: a number above 0"),
    (
        {"peaks": "lavue"},
        "peaks = 'lavue': allowed: a mapping with any of method, max_peaks, min_snr, fit, min_fwhm_bins, max_fwhm_bins, track, phases, auto; true; false or "
        "null for no peak search",
    ),
    (
        {"npt": 0, "buffering": "on", "npts": 1},
        "npts = 1: unknown key; allowed: npt, the nearest known key; and buffering = 'on': allowed: true or "
        "false; and npt = 0: allowed: an integer of at least 1 and at most 10000000",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), MESSAGES, ids=[str(given)[:40] for given, _ in MESSAGES])
def test_an_error_names_the_key_the_value_and_what_is_allowed(poni: Path, given: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"calibration": poni, **given})
    assert str(caught.value) == message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    config = load_config({"calibration": poni})
    with pytest.raises(ConfigError) as caught:
        update_config(config, given)
    assert str(caught.value) == message


def test_the_first_of_several_errors_is_the_one_named(poni: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"calibration": poni, "npt": 0, "buffer_size": "a"})
    assert (caught.value.key, caught.value.value) == ("buffer_size", "a")
    assert caught.value.allowed == "an integer of at least 1"


def test_an_unknown_key_like_no_other_is_told_all_keys(poni: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"calibration": poni, "xyzzy": 1})
    assert caught.value.allowed.startswith("calibration, diff_ranges, diff_number, ")
    assert caught.value.allowed.endswith(", stop_diff, next, reset")


CALIBRATION = "allowed: the path of a geometry file that is there, such as a PONI file"


def test_a_calibration_must_be_given_and_be_a_file(tmp_path: Path) -> None:
    cases = [
        ({}, f"calibration = None: it is missing; {CALIBRATION}"),
        ({"calibration": None}, f"calibration = None: {CALIBRATION}"),
        (
            {"calibration": "no.poni"},
            f"calibration = 'no.poni': {tmp_path}/no.poni does not exist; {CALIBRATION}",
        ),
        ({"calibration": str(tmp_path)}, f"calibration = '{tmp_path}': it is a folder; {CALIBRATION}"),
        (
            {"calibraton": "a.poni"},
            f"calibraton = 'a.poni': unknown key; allowed: calibration, the nearest known key; "
            f"and calibration = None: it is missing; {CALIBRATION}",
        ),
    ]
    for given, message in cases:
        with pytest.raises(ConfigError) as caught:
            load_config(given, base=tmp_path)
        assert str(caught.value) == message


SOURCES = "allowed: a mapping of keys to values, a JSON string, or the path of a .json, .yaml or .yml file"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "line 1, column 2: Expecting property name enclosed in double quotes; allowed: well-formed JSON"),
        ("a.json", "[1]", f"it holds a list; {SOURCES}"),
        ("a.json", "", "line 1, column 1: Expecting value; allowed: well-formed JSON"),
        ("a.yaml", "", f"it holds nothing; {SOURCES}"),
        ("a.yaml", "hello", f"it holds the single value 'hello'; {SOURCES}"),
        ("a.yml", "a: [1,\nb: 2", "line 2, column 5: expected ',' or ']', but got '<stream end>'; allowed: well-formed YAML"),
        ("a.yml", "a: 1\n---\nb: 2", "line 2, column 1: but found another document; allowed: well-formed YAML"),
        ("a.yml", "a: !!int b", "invalid literal for int() with base 10: 'b'; allowed: well-formed YAML"),
        ("a.yaml", "a: !!python/object:os.system b", "allowed: well-formed YAML"),
        ("a.yaml", "? [a]\n: b", "line 1, column 3: found unhashable key; allowed: well-formed YAML"),
        ("a.txt", "{}", SOURCES),
    ],
)  # fmt: skip
def test_a_malformed_file_is_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / name)
    assert str(caught.value).startswith(f"configuration = '{tmp_path / name}': ")
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize(
    "source", [None, 3, ["calibration"], b"{}", {1: 2}, "setup.poni", "", "[1]", "{'a': 1}", "{}}"]
)
def test_what_is_no_configuration_is_refused(source) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(source)
    assert caught.value.key == "configuration"


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "no.yaml")
    assert str(caught.value) == (
        f"configuration = '{tmp_path}/no.yaml': {tmp_path}/no.yaml: No such file or directory; "
        "allowed: a file that can be read"
    )
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00{")
    (tmp_path / "folder.json").mkdir()
    for source in (tmp_path / "binary.json", tmp_path / "folder.json", "a\0.json"):
        with pytest.raises(ConfigError, match="a file that can be read"):
            load_config(source)


def test_a_key_given_twice_is_refused_in_json_and_yaml(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("npt: 5\nnpt: 6\n")
    for source in ('{"npt": 5, "npt": 6}', tmp_path / "a.yaml"):
        with pytest.raises(ConfigError, match=r"^npt = .*the key is there twice; allowed: each key once"):
            load_config(source)


HOSTILE = [
    None, True, -1, 0, 10**400, float("nan"), float("inf"), "", "\0", "x" * 1000, [], [[]], [None], {}, {"a": 1}, b"x",
    object(), 1j, np.array(5), np.zeros((2, 2, 2)), np.array([["a"]]), np.array([1, 2]), [[[1]]], lambda: 1,
]  # fmt: skip


KEYS = [*sorted(DiffractogramConfig.model_fields), "stop_diff", "next", "reset", "nonsense"]


@pytest.mark.parametrize("key", KEYS)
def test_any_value_is_taken_or_refused_with_its_key(poni: Path, key: str) -> None:
    refused = []
    for value in HOSTILE:
        try:
            load_config({"calibration": poni, key: value})
        except ConfigError as error:
            refused.append(error)
    assert len(refused) >= 10
    assert all(error.key.startswith(key) for error in refused)
    assert all("\n" not in str(error) for error in refused if not isinstance(error.value, np.ndarray))

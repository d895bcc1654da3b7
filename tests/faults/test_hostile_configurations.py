"""Configurations with anything in them: refused with an error of ours, or usable; and valid ones round-trip."""

from __future__ import annotations

import json
import math
import string
import time

import numpy as np
import pytest
import yaml
from fault_tools import SHAPE, examples, frame
from hypothesis import given
from hypothesis import strategies as st

from bluesky_diffractogram import ConfigError, ReductionCallback
from bluesky_diffractogram.config import (
    DiffractogramConfig,
    PeaksConfig,
    configuration,
    configuration_json,
    load_config,
    update_config,
)
from bluesky_diffractogram.documents.setting import Reducers, Setting
from bluesky_diffractogram.reduction.frame import Frame, FrameError

KEYS = [*DiffractogramConfig.model_fields, "stop_diff", "next", "reset"]
UNITS = ["q [1/nm]", "q [1/A]", "2th [deg]", "2th [rad]", "r [mm]", "r [pixel]", "d [A]"]

NUMBERS = st.one_of(
    st.integers(-3, 400), st.floats(-400, 400), st.floats(), st.integers(),
    st.sampled_from([0, 1, -1, 2**31, 2**63, 2**64, 10**12, 10**400, 1e-10, 1e308, 5e-324]),
)  # fmt: skip
WORDS = st.one_of(
    st.sampled_from([*KEYS, *UNITS, "same", "none", "no", "bbox", "full", "csr", "cython", "opencl", "python", "lut",
                     "image", "buffer 1", "buffer 9", "each", "mean", "sum", "poisson", "azimuthal", "rot-90", "block",
                     "lavue", "default", "C0", "/", "~", "", "\0", "/dev/null", "/etc/passwd", "::", "a.npy"]),
    st.text(max_size=5),
)  # fmt: skip
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, WORDS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(WORDS, inner, max_size=3),
        st.lists(st.lists(NUMBERS, min_size=4, max_size=4), max_size=3),
    ),
    max_leaves=12,
)  # fmt: skip
ANYTHING = st.one_of(JSON, st.binary(max_size=4), st.builds(object), st.sampled_from([
    np.zeros(SHAPE), np.ones((3, 4), bool), np.array([1, 2]), np.array(None), np.float32(2), np.int8(3), 1j, {1, 2},
]))  # fmt: skip


def usable_or_refused(source, poni):
    """What is loaded round-trips and reduces a frame; all else is a ConfigError. Whether it was loaded."""
    refused = None
    try:
        config = load_config(source)
        setting = Setting.open(config)
    except ConfigError as error:
        refused = error
    if refused is not None:
        assert isinstance(refused.key, str)
        assert 0 < len(str(refused)) < 20_000
        return False
    assert load_config(configuration(config)) == config
    assert update_config(config, configuration(config)) == config
    written = json.dumps(configuration_json(config, lambda key, array: str(poni)), allow_nan=False)
    assert json.loads(written)["calibration"] == config.calibration
    if sum(config.npts) > 10_000 or config.diff_number > 20:
        return True  # right, and slow
    for shape in (SHAPE, SHAPE[::-1]):
        try:
            reduction = Reducers().get(setting, shape).reduce(Frame(np.resize(frame(0), shape), 0.0))
        except (ConfigError, FrameError):
            continue
        assert len(reduction.diffractograms) == config.diff_number
        for each, npt in zip(reduction.diffractograms, config.npts, strict=True):
            assert each.radial.shape == each.intensity.shape == each.count.shape == (npt,)
            assert np.isfinite(each.radial).all()
            assert (each.count >= 0).all()
    return True


@examples(60)
@given(data=st.data())
def test_settings_with_anything_in_them(poni, data):
    base = {"calibration": str(poni), "npt": 30, "diff_units": "2th [deg]"}
    changed = data.draw(st.dictionaries(st.sampled_from(KEYS), ANYTHING, min_size=1, max_size=3))
    usable_or_refused({**base, **changed}, poni)


@examples(40)
@given(source=st.one_of(ANYTHING, st.dictionaries(WORDS, JSON, max_size=4)))
def test_anything_at_all(poni, source):
    usable_or_refused(source, poni)


TOKENS = [
    "&a ", "*a", "!!python/object:os.system ", "<<: ", "{", "}", "[", "]", "- ", ": ", "\n", "NaN", "Infinity", "1e999",
    "null", "\x00", "\ud800", "%YAML 9\n", "--- ", "? ", "|", "\t",
]  # fmt: skip
TEXT = st.text(st.sampled_from(string.printable), max_size=6)


@st.composite
def edited(draw, text):
    """A text with characters replaced, left out, doubled, or cut off."""
    for _ in range(draw(st.integers(1, 4))):
        at, to = sorted(draw(st.integers(0, len(text))) for _ in range(2))
        how = draw(st.sampled_from(["replace", "delete", "double", "cut", "token"]))
        if how == "cut":
            text = text[:to]
        elif how == "double":
            text = text[:to] + text[at:]
        elif how == "delete":
            text = text[:at] + text[min(to, at + 5) :]
        elif how == "token":
            text = text[:at] + draw(st.sampled_from(TOKENS)) + text[at:]
        else:
            text = text[:at] + draw(TEXT) + text[at:]
    return text


@examples(40)
@given(data=st.data())
def test_files_with_anything_in_them(poni, tmp_path_factory, data):
    settings = {"calibration": str(poni), "npt": 30, "diff_ranges": [[10, 20, 2, 10], None], "diff_units": "2th [deg]",
                "peaks": {"method": "lavue"}}  # fmt: skip
    suffix = data.draw(st.sampled_from([".json", ".yaml", "string"]))
    text = yaml.safe_dump(settings) if suffix == ".yaml" else json.dumps(settings, indent=1)
    text = data.draw(edited(text))
    if suffix == "string":
        usable_or_refused("{" + text, poni)
        return
    path = tmp_path_factory.getbasetemp() / f"cfg{suffix}"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    usable_or_refused(path, poni)


def deep(levels):
    return "[" * levels + "]" * levels


BOMB = "\n".join(["a: &a [x, x, x, x, x, x, x, x, x]"] + [
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefghijkl", "bcdefghijklm", strict=True)
])  # fmt: skip


@pytest.mark.parametrize("levels", [50, 900, 950, 970, 990, 5000])
@pytest.mark.parametrize("key", ["colors", "nonsense", "diff_ranges", "mask", "peaks"])
def test_a_thousand_brackets_are_refused(poni, levels, key):
    with pytest.raises(ConfigError):
        load_config(f'{{"calibration": "{poni}", "{key}": {deep(levels)}}}')


@pytest.mark.parametrize("key", ["nonsense", "mask", "peaks"])
@pytest.mark.parametrize(
    "content", [BOMB, "m: &m [*m]", "m: &m {m: *m}"], ids=["bomb", "list in itself", "mapping in itself"]
)
def test_a_few_lines_of_yaml_that_stand_for_a_billion_are_refused_at_once(poni, tmp_path, key, content):
    path = tmp_path / "bomb.yaml"
    path.write_text(f"{content}\ncalibration: {poni}\n{key}: *m\n")
    began = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert time.monotonic() - began < 5
    assert len(str(caught.value)) < 20_000


@pytest.mark.parametrize("wrong", [
    {"buffer_size": 10**12}, {"buffer_size": 2**70}, {"diff_number": 100_000, "buffer_size": 10**6},
    {"npt": 10**7, "buffer_size": 10**6}, {"detector_shape": [10**6, 10**6]}, {"detector_shape": [2**40, 2**40]},
    {"detector_shape": [1, 2**62]}, {"binning": 10**30},
], ids=str)  # fmt: skip
def test_what_no_memory_holds_is_refused_when_it_is_given(poni, wrong):
    """And not when the first frame has come, by whoever ends processes that take too much."""
    with pytest.raises(ConfigError), ReductionCallback({"calibration": str(poni), **wrong}, background=False):
        pass


# -- there and back -------------------------------------------------------------------------------------------------

real = st.floats(-1e6, 1e6).map(lambda x: 0.0 if x == 0 else x)
limit = st.none() | st.integers(-170, 170) | st.floats(-170, 170)
colour = st.tuples(*[st.integers(0, 255)] * 3).map(list) | st.just("C3")
a_range = st.none() | st.tuples(limit, limit, limit, limit).map(list)
names = st.lists(st.text("abc_é", min_size=1, max_size=4), max_size=3)


@st.composite
def valid_settings(draw, poni):
    """Settings that are all right, of any keys; with azimuths and radial limits that differ."""
    ranges = [
        r for r in draw(st.lists(a_range, max_size=4))
        if r is None or (_differ(r[0], r[1], 360) and _differ(r[2], r[3], math.inf))
    ]  # fmt: skip
    n = draw(st.integers(1, 5))
    image = draw(st.sampled_from([None, "array", "list"]))
    array = np.arange(SHAPE[0] * SHAPE[1], dtype=draw(st.sampled_from(["f4", "f8", "i2", "u4"]))).reshape(SHAPE)
    low, high = sorted(draw(st.tuples(real, real)))
    possible = {
        "diff_ranges": ranges, "diff_units": draw(st.sampled_from(UNITS)),
        "range_unit": draw(st.sampled_from(["same", "2th_deg", "q_A^-1"])) if not ranges else "2th_deg",
        "buffer_size": draw(st.integers(1, 5000)), "buffering": draw(st.booleans()), "collect": draw(st.booleans()),
        "show_diff": draw(st.booleans()), "main_plot": draw(st.sampled_from(["image", "buffer 1"])),
        "correct_solid_angle": draw(st.booleans()), "polarization_factor": draw(st.none() | st.floats(-1, 1)),
        "error_model": draw(st.sampled_from([None, "poisson"])),
        "method": draw(st.sampled_from(["no", "bbox", "full"])),
        "energy": draw(st.none() | st.floats(0.1, 1000)), "normalization": draw(st.none() | st.just("i0")),
        "transformation": draw(st.sampled_from(["none", "rot-180", "flip-up-down"])),
        "dark": array if image == "array" else array.tolist() if image == "list" else None,
        "mask_invalid": draw(st.booleans()), "dummy": draw(st.none() | real),
        "valid_range": draw(st.none() | st.just([low, high])),
        "image_key": draw(st.none() | st.just("det")), "stream": draw(st.sampled_from(["primary", "fly"])),
        "frames_per_event": draw(st.sampled_from(["each", "mean", "sum"])), "carry": draw(st.none() | names),
        "queue_size": draw(st.integers(1, 100)), "when_full": draw(st.sampled_from(["block", "drop_oldest", "latest"])),
        "reset_on_start": draw(st.booleans()), "hinted": draw(st.none() | names),
        "colors": draw(st.none() | st.lists(colour, max_size=3)),
        "peaks": draw(st.sampled_from([None, False, True, {}, {"method": "lavue", "max_peaks": 3}, {"min_snr": 3.5}])),
        "npt": draw(st.integers(1, 500)),
    }  # fmt: skip
    chosen = {key: value for key, value in possible.items() if draw(st.booleans())}
    if draw(st.booleans()):
        chosen["diff_number"] = n
    return {"calibration": str(poni), **chosen}


def _differ(a, b, period):
    if a is None and b is None:
        return True
    a, b = (0 if a is None else a), (360 if b is None else b)
    return abs((a - b) % period if math.isfinite(period) else a - b) > 1e-6 and abs(a - b) > 1e-6


@examples(25)
@given(data=st.data())
def test_configurations_round_trip(poni, tmp_path_factory, data):
    """Through a dictionary, JSON, YAML, and a change that changes nothing."""
    given_ = data.draw(valid_settings(poni))
    config = load_config(given_)
    shown = configuration(config)
    assert load_config(shown) == config
    assert configuration(load_config(shown)).keys() == shown.keys()
    assert update_config(config, shown) == config
    lists = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in shown.items()}
    if "dark" in lists:  # JSON has one kind of numbers
        config = load_config({**given_, "dark": lists["dark"]})
    assert load_config(json.dumps(lists, allow_nan=False)) == config
    path = tmp_path_factory.getbasetemp() / "there_and_back.yaml"
    path.write_text(yaml.safe_dump(lists))
    assert load_config(path) == config
    assert isinstance(config.peaks, PeaksConfig | None)

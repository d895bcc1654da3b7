"""Calibration files with anything in them: refused with an error of ours, or a geometry that can be used."""

from __future__ import annotations

import json
import string

import numpy as np
import pytest
from fault_tools import SHAPE, examples, frame, small_poni
from hypothesis import given
from hypothesis import strategies as st

from bluesky_diffractogram import ConfigError
from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.documents.setting import Reducers, Setting
from bluesky_diffractogram.reduction.frame import Frame, FrameError

PONI_1 = """# Nota: C-Order, 1 refers to the Y axis, 2 to the X axis
PixelSize1: 6e-4
PixelSize2: 5e-4
Distance: 0.1
Poni1: 0.018
Poni2: 0.02
Rot1: 0.02
Rot2: -0.03
Rot3: 0.0
Wavelength: 4e-11
"""
PONI_2 = """poni_version: 2
Detector: Detector
Detector_config: {"pixel1": 6e-4, "pixel2": 5e-4, "max_shape": [60, 80]}
Distance: 0.1
Poni1: 0.018
Poni2: 0.02
Rot1: 0.02
Rot2: -0.03
Rot3: 0.0
Wavelength: 4e-11
"""
PONI_2_1 = PONI_2.replace("version: 2", "version: 2.1").replace("[60, 80]", '[60, 80], "orientation": 3')
PONI_NAMED = PONI_2_1.replace("Detector: Detector", "Detector: Pilatus100k").replace(
    '{"pixel1": 6e-4, "pixel2": 5e-4, "max_shape": [60, 80], "orientation": 3}', '{"orientation": 2}'
)
PONI_3 = PONI_2_1.replace("version: 2.1", "version: 3") + "Parallax: false\nSensor: null\n"
PONI_JSON = json.dumps({
    "poni_version": 2.1, "detector": "Detector", "dist": 0.1, "poni1": 0.018, "poni2": 0.02,
    "rot1": 0.02, "rot2": -0.03, "rot3": 0.0, "wavelength": 4e-11,
    "detector_config": {"pixel1": 6e-4, "pixel2": 5e-4, "max_shape": [60, 80], "orientation": 3},
}, indent=1)  # fmt: skip
TEXTS = {"1": PONI_1, "2": PONI_2, "2.1": PONI_2_1, "named": PONI_NAMED, "3": PONI_3, "json": PONI_JSON}

VALUES = [
    "nan", "inf", "-inf", "0", "-1", "1", "1e-300", "1e300", "-0.1", "3.14159", "1e-10", "1", "0.4", "None", "null",
    "true", "[]", "{}", '""', "abc", "", "1e999", "0x10", "1,5", "10 20", "1_0", "µ", "\x00", "/etc/passwd",
    "/dev/zero", "Eiger4M", "Pilatus1M", "NexusDetector", "detector.h5", "1.5", "99999999999", "[1, 2, 3]", "4", "8",
]  # fmt: skip
CONFIGS = [
    {"max_shape": shape}
    for shape in (None, [], [60], [60, 80, 3], [0, 0], [-60, 80], [1.5, 80], ["60", "80"], "60", 60, [10**6, 10**6],
                  [2**40, 2**40], [1, 1], [80, 60], [120, 160], {"a": 1}, [None, 80], [True, 80], [6000, 8000])
] + [
    {"orientation": o} for o in (0, 1, 4, 5, -1, None, "3", 2.5, [3])
] + [
    {"pixel1": p} for p in (0, -1, None, "6e-4", 1e300, 1e-300, float("nan"), float("inf"), [6e-4], {})
] + [
    {"filename": f} for f in ("/etc/passwd", "nowhere.h5", "", None, 3)
] + [
    {"sensor": {"material": "Si", "thickness": t}} for t in (1e-3, 0, -1, None, "x")
] + [{"nonsense": 1}, {"splinefile": "/etc/passwd"}, {"splineFile": "/dev/zero"}, {"mask": "/etc/passwd"}]  # fmt: skip


def usable_or_refused(path, **settings):
    """Whether it is taken: then it reduces frames of its own shape, and of ours, or says what shape it expects."""
    settings = {"calibration": str(path), "npt": 30, "diff_units": "2th [deg]", **settings}
    refused = None
    try:
        setting = Setting.open(load_config(settings))
    except ConfigError as error:
        refused = error
    if refused is not None:
        assert refused.key in ("calibration", "diff_units"), refused
        return False
    assert isinstance(setting.geometry.fingerprint(), str | None)
    assert setting.geometry.describe()
    own = setting.geometry.shape
    for shape in {SHAPE, own or SHAPE}:
        if shape[0] * shape[1] > 300_000:
            continue  # right, and slow
        try:
            reduction = Reducers().get(setting, shape).reduce(Frame(np.resize(frame(0), shape), 0.0))
        except FrameError as error:
            refused = error
        if refused is not None:
            assert shape != own
            assert str(own) in str(refused)
            refused = None
            continue
        for each in reduction.diffractograms:
            assert np.isfinite(each.radial).all()
            assert (np.diff(each.radial) > 0).all()
            assert (each.count >= 0).all()
            assert np.isfinite(each.intensity[each.count > 0]).all()
    return True


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_those_that_are_changed_here_are_good(tmp_path, text):
    path = tmp_path / "good.poni"
    path.write_text(text)
    assert usable_or_refused(path)


def changed_config(text, change):
    """The text with other detector settings."""
    if text.startswith("{"):
        content = json.loads(text)
        content["detector_config"].update(change)
        return json.dumps(content)
    begin, end = text.index('{"'), text.index("}") + 1
    return text[:begin] + json.dumps({**json.loads(text[begin:end]), **change}) + text[end:]


@pytest.mark.parametrize("which", ["2.1", "named", "json"])
def test_detectors_that_there_are_not(tmp_path, which):
    for number, change in enumerate(CONFIGS):
        path = tmp_path / f"{number}.poni"
        path.write_text(changed_config(TEXTS[which], change))
        usable_or_refused(path)


@st.composite
def changed(draw, text):
    """A calibration with lines lost, doubled, moved, with other values, and with characters of all kinds."""
    for _ in range(draw(st.integers(1, 3))):
        lines = text.split("\n")
        at, to = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        how = draw(st.sampled_from(["value", "value", "value", "config", "lose", "double", "move", "insert", "cut"]))
        if how == "value" and ":" in lines[at]:
            key, _, value = lines[at].partition(":")
            end = "," if value.endswith(",") else ""
            lines[at] = f"{key}: {draw(st.sampled_from(VALUES) | st.floats().map(repr))}{end}"
        elif how == "config" and '"pixel1"' in text and text in TEXTS.values():
            lines = [changed_config(text, draw(st.sampled_from(CONFIGS)))]
        elif how == "lose":
            del lines[at]
        elif how == "double":
            lines.insert(to, lines[at])
        elif how == "move":
            lines.insert(to, lines.pop(at))
        elif how == "insert":
            place = draw(st.integers(0, len(lines[at])))
            garbage = draw(st.text(st.sampled_from(string.printable + "\x00µ"), max_size=4))
            lines[at] = lines[at][:place] + garbage + lines[at][place:]
        elif how == "cut":
            lines = lines[:at]
        text = "\n".join(lines) or "\n"
    return text


@examples(40)
@given(data=st.data())
def test_calibrations_with_anything_in_them(tmp_path_factory, data):
    which = data.draw(st.sampled_from(sorted(TEXTS)))
    path = tmp_path_factory.getbasetemp() / f"fuzzed{data.draw(st.sampled_from(['.poni', '.json', '.nxs', '']))}"
    path.write_bytes(data.draw(changed(TEXTS[which])).encode("utf-8", "surrogatepass"))
    usable_or_refused(path)


@examples(15)
@given(content=st.binary(max_size=200) | st.text(max_size=60).map(str.encode) | st.sampled_from(
    [b"", b"\x89HDF\r\n\x1a\n" + bytes(500), b"{", b"[]", b"null", b"# only a comment", b"\xff\xfe", bytes(3)]
))  # fmt: skip
def test_files_that_are_no_calibrations(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "none.poni"
    path.write_bytes(content)
    assert not usable_or_refused(path)


def test_no_process_is_lost_to_a_detector_of_petabytes(tmp_path):
    """And a calibration without shape takes that of the frames, whatever it is."""
    path = small_poni(tmp_path / "large.poni")
    path.write_text(path.read_text().replace("[60, 80]", "[600000, 800000]"))
    with pytest.raises(ConfigError, match="600000"):
        Setting.open(load_config({"calibration": str(path)}))

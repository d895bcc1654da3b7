"""What the views read of a derived run's documents."""

from __future__ import annotations

import numpy as np
import pytest
from derived_run_example import DerivedRun, RangeExample

from bluesky_diffractogram.views.derived import DerivedRuns, as_floats, frame_of, read_mapping


def test_a_stream_tells_axis_unit_limits_and_configuration():
    run = DerivedRun((RangeExample(), RangeExample((-5, 5), (2, 8), 33)), unit="2th_deg", scan_id=7)
    runs = DerivedRuns()
    assert runs.start(run.start)["diff_units"] == "2th [deg]"
    stream = runs.descriptor(run.begin()[1])
    assert (stream.run_uid, stream.name, stream.run_label) == (
        run.start["uid"],
        "diffractogram",
        "scan 7 [raw123]",
    )
    assert (stream.unit, stream.unit_label) == ("2th_deg", "2th [deg]")
    assert sorted(stream.ranges) == [1, 2]
    np.testing.assert_array_equal(stream.ranges[2].radial, run.ranges[1].axis())
    assert stream.ranges[2].radial_range == (2.0, 8.0)
    assert stream.ranges[2].azimuth_range == (-5.0, 5.0)
    assert stream.configuration["diff_number"] == 2


def test_an_event_belongs_to_its_stream_until_the_run_stops():
    run, other = DerivedRun(), DerivedRun()
    runs = DerivedRuns()
    streams = []
    for each in (run, other):
        runs.start(each.start)
        streams.append(runs.descriptor(each.begin()[1]))
    assert runs.stream_of(run.event(0)[1]) is streams[0]
    assert runs.stream_of(other.event(0)[1]) is streams[1]
    runs.stop(run.stop()[1])
    assert runs.stream_of(run.event(1)[1]) is None
    assert runs.stream_of(other.event(1)[1]) is streams[1]


def test_streams_without_diffractograms_are_none_of_ours():
    run = DerivedRun()
    runs = DerivedRuns()
    runs.start(run.start)
    descriptor = run.begin()[1]
    assert runs.descriptor({**descriptor, "data_keys": {"temperature": {"shape": [], "dtype": "number"}}}) is None
    assert runs.descriptor({**descriptor, "configuration": {}}) is None
    assert runs.descriptor({**descriptor, "run_start": "unknown"}) is None


def test_dimensions_are_the_carried_scalars_that_are_hinted_or_configured():
    def readings(frame):
        return {"motor": 1.0, "sample": "steel", "pressure": 2.0}

    run = DerivedRun(readings=readings, configuration={"carry": ["pressure", "motor", "absent"]})
    runs = DerivedRuns()
    runs.start(run.start)
    assert runs.descriptor(run.begin()[1]).dimensions == ("motor", "pressure")


@pytest.mark.parametrize("text", [None, "", "{", "[1]", 5, b"\xff"])
def test_a_configuration_that_cannot_be_read_is_empty(text):
    assert read_mapping(text) == {}


def test_a_configuration_may_be_text_or_a_mapping():
    assert read_mapping('{"npt": 5}') == {"npt": 5}
    assert read_mapping({"npt": 5}) == {"npt": 5}


def test_a_frame_has_the_number_of_its_raw_event_where_documents_tell_it():
    assert frame_of({"seq_num": 3, "data": {"raw_seq_num": 17, "frame_index": 2}}) == (17, 2)
    assert frame_of({"seq_num": 3, "data": {"raw_seq_num": None}}) == frame_of({"seq_num": 3, "data": {}}) == (3, 0)


def test_lists_with_none_become_floats_with_nan():
    np.testing.assert_array_equal(as_floats([[1, None], [2, 3]], 2), [[1, np.nan], [2, 3]])


@pytest.mark.parametrize("wrong", [[1.0, 2.0], [[1.0], [2.0, 3.0]], "text"])
def test_what_is_no_array_of_that_dimension_is_refused(wrong):
    with pytest.raises(ValueError, match=r"dimension|inhomogeneous|convert"):
        as_floats(wrong, 2)


@pytest.mark.parametrize(
    ("configuration", "calibration", "expected"),
    [
        ({"wavelength": 1e-10, "energy": 99.0}, {"text": "Wavelength: 3e-11\n"}, 1e-10),
        ({"energy": 12.39842}, {"text": "Wavelength: 3e-11\n"}, 1e-10),
        ({}, {"text": "Distance: 0.1\nWavelength: 3e-11\n"}, 3e-11),
        ({}, {"text": "Distance: 0.1\n"}, None),
        ({}, None, None),
        ({"energy": "much"}, {"text": "Wavelength: short\n"}, None),
    ],
)
def test_the_wavelength_is_the_configurations_or_the_calibrations(configuration, calibration, expected):
    run = DerivedRun(configuration=configuration, metadata={} if calibration is None else {"calibration": calibration})
    runs = DerivedRuns()
    runs.start(run.start)
    found = runs.descriptor(run.begin()[1]).wavelength
    assert found == (expected if expected is None else pytest.approx(expected, rel=1e-6))

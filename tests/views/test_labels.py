"""What is written beside the data."""

from __future__ import annotations

import pytest
from derived_run_example import DerivedRun, RangeExample

from bluesky_diffractogram.views.derived import DerivedRuns
from bluesky_diffractogram.views.labels import (
    intensity_exponent,
    intensity_formatter,
    intensity_label,
    radial_label,
    range_text,
    reading_label,
    reading_text,
    runs_text,
)


def stream(unit="q_nm^-1", azimuth=(10, 20), radial=(0, 10), change=None, **kwargs):
    """The stream that the documents of a run open; `change` may write into the axis."""
    run = DerivedRun((RangeExample(azimuth, radial),), unit=unit, **kwargs)
    runs = DerivedRuns()
    runs.start(run.start)
    descriptor = run.begin()[1]
    if change is not None:
        change(descriptor["configuration"]["diffractogram"]["data"])
    return runs.descriptor(descriptor)


@pytest.mark.parametrize(
    ("unit", "azimuth", "radial", "text"),
    [
        ("q_nm^-1", (10, 20), (0, 11.3), "1: χ 10…20°, q 0…11.3 nm⁻¹"),
        ("2th_deg", (-5, 5), (2, 8.25), "1: χ −5…5°, 2θ 2…8.25°"),
        ("r_pixel", (170, 190), (3.25, 1234.56), "1: χ 170…190°, r 3.25…1235 pixel"),
        ("r_mm", (-180, 180), (0, 50), "1: full ring, r 0…50 mm"),
        ("d_A", (0, 45.5), (0.8, 12), "1: χ 0…45.5°, d 0.8…12 Å"),
    ],
)
def test_a_range_is_named_by_its_limits_in_its_units(unit, azimuth, radial, text):
    assert range_text(stream(unit, azimuth, radial), 1) == text


def test_a_range_without_limits_is_named_by_its_number():
    def forget(axis):
        del axis["radial_range_1"], axis["azimuth_range_1"]

    assert range_text(stream(change=forget), 1) == "range 1"


def test_a_unit_that_is_none_of_ours_is_written_as_the_stream_names_it():
    def rename(axis):
        axis.update(unit="log(q)_m", unit_label="log q")

    assert radial_label(stream(change=rename)) == "log q"
    assert range_text(stream(change=rename), 1) == "1: χ 10…20°, 0…10 log q"


@pytest.mark.parametrize(
    ("largest", "exponent"),
    [
        (0, 0),
        (1, 0),
        (0.1, 0),
        (9999, 0),
        (1e4, 3),
        (2.5e6, 6),
        (0.05, -3),
        (1e-7, -9),
        (float("nan"), 0),
        (-5, 0),
    ],
)
def test_powers_of_ten_are_multiples_of_three_away_from_one(largest, exponent):
    assert intensity_exponent(largest) == exponent


@pytest.mark.parametrize(
    ("value", "exponent", "text"),
    [(250.0, 0, "250"), (2.5e6, 6, "2.5"), (-3e-4, -3, "−0.3"), (0.30000000000000004, 0, "0.3"), (0, 3, "0")],
)
def test_ticks_are_written_without_their_power_of_ten(value, exponent, text):
    assert intensity_formatter(exponent)(value, 0) == text


def test_the_power_of_ten_and_the_unit_are_in_the_label():
    assert intensity_label(0) == "intensity"
    assert intensity_label(0, "counts") == "intensity (counts)"
    assert intensity_label(-3, "counts") == "intensity ($10^{-3}$ counts)"
    assert intensity_label(6) == "intensity ($10^{6}$)"


def test_readings_are_written_with_their_unit_where_they_have_one():
    one = stream(readings=lambda frame: {"temperature": 1.0, "x": 2.0}, reading_units={"temperature": "K"})
    assert reading_label(one, "temperature") == "temperature (K)"
    assert reading_label(one, "x") == "x"
    assert reading_text(one, "temperature", 452.123) == "temperature 452.1 K"
    assert reading_text(one, "x", -2) == "x −2"


def test_runs_are_named_from_the_first_to_the_last():
    assert runs_text(()) == ""
    assert runs_text(("scan 1",)) == "scan 1"
    assert runs_text(("scan 1", "scan 2", "scan 3")) == "scan 1 … scan 3"

"""Arcs against angles counted by hand and by the unit circle; the rules for what users write."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluesky_diffractogram.config import Arc, ConfigError, DiffractogramRange, parse_range

degrees = st.one_of(
    st.integers(-1080, 1080).map(float),
    st.floats(-1080, 1080, allow_nan=False),
    st.sampled_from([-180.0, 180.0, -180.00000000000003, 179.99999999999997, 0.0, 360.0, -360.0]),
)


@pytest.mark.parametrize(
    ("start", "end", "first", "last", "parts"),
    [
        (10, 20, 10, 20, [(10, 20)]),
        (-5, 5, -5, 5, [(-5, 5)]),
        (0.1, 0.3, 0.1, 0.3, [(0.1, 0.3)]),
        (-170.0, 0.1, -170.0, 0.1, [(-170, 0.1)]),
        (170, 180, 170, 180, [(170, 180)]),
        (170, 190, 170, 190, [(170, 180), (-180, -170)]),
        (170, -170, 170, 190, [(170, 180), (-180, -170)]),
        (-190, -170, 170, 190, [(170, 180), (-180, -170)]),
        (350, 370, -10, 10, [(-10, 10)]),
        (350, 10, -10, 10, [(-10, 10)]),
        (180, 190, -180, -170, [(-180, -170)]),
        (180, 360, -180, 0, [(-180, 0)]),
        (200, 10, -160, 10, [(-160, 10)]),
        (-90, 180, -90, 180, [(-90, 180)]),
        (30, 20, 30, 380, [(30, 180), (-180, 20)]),
        (20, 10, 20, 370, [(20, 180), (-180, 10)]),
        (730, 740, 10, 20, [(10, 20)]),
    ],
)
def test_an_arc_is_what_its_two_ends_say(start, end, first, last, parts) -> None:
    arc = Arc.between(start, end)
    assert (arc.start, arc.end, arc.span) == (first, last, pytest.approx(last - first))
    assert arc.parts() == tuple(parts)
    assert not arc.full


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, 360),
        (-180, 180),
        (-90, 270),
        (10, 375),
        (0, 400),
        (-180, 180.001),
        (10, 370),
        (0.1, 360.1),
        (0, 3600),
    ],
)
def test_a_span_of_360_or_more_is_the_full_ring(start, end) -> None:
    arc = Arc.between(start, end)
    assert (arc.start, arc.span, arc.end, arc.full) == (-180, 360, 180, True)
    assert arc.parts() == ((-180, 180),)
    assert arc.contains(np.linspace(-400, 400, 801)).all()


@given(degrees, degrees)
def test_every_pair_of_ends_is_an_arc_the_full_ring_or_refused(start: float, end: float) -> None:
    try:
        arc = Arc.between(start, end)
    except ValueError:
        turns = (end - start) / 360
        assert abs(turns - round(turns)) < 1e-9
        assert end - start < 360
        return
    assert -180 <= arc.start < 180
    assert 0 < arc.span <= 360
    assert arc.end == pytest.approx(arc.start + arc.span, abs=1e-9)
    parts = arc.parts()
    assert sum(high - low for low, high in parts) == pytest.approx(arc.span, abs=1e-8)
    assert all(-180 <= low < high <= 180 for low, high in parts)
    # The ends are those that were given, on the unit circle.
    if not arc.full:
        for mine, theirs in ((arc.start, start), (arc.end, end)):
            assert abs(np.exp(1j * np.radians(mine)) - np.exp(1j * np.radians(theirs))) < 1e-9
        if start < end:
            assert arc.span == pytest.approx(end - start, abs=1e-9)


@given(degrees, st.floats(0.01, 359), st.floats(-720, 720))
def test_contains_is_what_turning_the_arcs_middle_to_0_says(start: float, span: float, chi: float) -> None:
    arc = Arc.between(start, start + span)
    middle = np.radians(start + span / 2)
    off = abs(np.degrees(np.angle(np.exp(1j * (np.radians(chi) - middle)))))
    if abs(off - span / 2) > 1e-6:
        assert bool(arc.contains(chi)) == (off < span / 2)


def test_contains_takes_both_ends_and_either_name_of_180() -> None:
    assert Arc.between(10, 20).contains([9.999, 10, 15, 20, 20.001, 370, np.nan]).tolist() == [
        False, True, True, True, False, True, False,
    ]  # fmt: skip
    assert Arc.between(170, 180).contains([-180, 180, -179.9]).tolist() == [True, True, False]
    assert Arc.between(-180, -170).contains([-180, 180, 179.9]).tolist() == [True, True, False]
    assert Arc.between(0.1, 0.3).contains(np.array([[0.1], [0.3]])).tolist() == [[True], [True]]


@given(degrees, st.floats(0.01, 359), st.integers(1, 50))
def test_samples_lie_on_the_arc_and_average_to_its_middle(start: float, span: float, n: int) -> None:
    arc = Arc.between(start, start + span)
    samples = arc.samples(n)
    assert samples.shape == (n,)
    assert arc.contains(samples).all()
    assert samples.mean() == pytest.approx((arc.start + arc.end) / 2, abs=1e-9)
    assert np.diff(samples) == pytest.approx(np.full(n - 1, arc.span / n), abs=1e-9)


def test_samples_of_the_full_ring_count_no_azimuth_twice() -> None:
    assert abs(np.exp(1j * np.radians(Arc(-180, 360).samples(7))).sum()) < 1e-12


@pytest.mark.parametrize(("start", "span"), [(180, 10), (-181, 10), (0, 0), (0, -5), (0, 361), (0, 360)])
def test_an_arc_out_of_bounds_cannot_be_made(start, span) -> None:
    with pytest.raises(ValueError, match=r"^(an arc|the full ring) "):
        Arc(start, span)


def test_arcs_are_equal_by_start_and_span() -> None:
    assert Arc.between(170, -170) == Arc(170, 20) == Arc.between(170, 190)
    assert Arc(10, 10).end == 20


@pytest.mark.parametrize(
    ("entry", "start", "end", "low", "high", "azimuth_given"),
    [
        ([10, 20, 0, 10], 10, 20, 0, 10, True),
        ([None, 90, 1, 2], 0, 90, 1, 2, True),
        ([90, None, 1, 2], 90, 360, 1, 2, True),
        ([0, None, 1, 2], -180, 180, 1, 2, True),
        ([None, None, 1, 2], -180, 180, 1, 2, False),
        ([-5, 5, None, 2], -5, 5, None, 2, True),
        ([-5, 5, 1, None], -5, 5, 1, None, True),
        ([None, None, None, None], -180, 180, None, None, False),
        (None, -180, 180, None, None, False),
        (np.array([10.0, 20.0, 0.0, 10.0]), 10, 20, 0, 10, True),
        ((np.int64(10), np.float32(20), 0, 10), 10, 20, 0, 10, True),
    ],
)
def test_null_is_no_limit(entry, start, end, low, high, azimuth_given, caplog) -> None:
    one = parse_range(entry, 3)
    assert one == DiffractogramRange(3, one.arc, low, high, azimuth_given)
    assert (one.arc.start, one.arc.end) == (start, end)
    assert not caplog.records


def test_a_long_arc_written_backwards_is_taken_with_one_warning(caplog) -> None:
    assert parse_range([30, 20, 0, 10], 1).arc == Arc(30, 350)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.WARNING,
            "diff_ranges[0]: range 1 runs from 30 in the positive direction to 20, an arc of 350 degrees; "
            "the arc of 10 degrees between them is [20, 30]",
        )
    ]


@pytest.mark.parametrize("entry", [[170, -170, 0, 1], [350, 10, 0, 1], [-100, 170, 0, 1], [90, -90, 0, 1]])
def test_a_short_arc_over_the_seam_and_a_long_one_forwards_give_no_warning(entry, caplog) -> None:
    parse_range(entry, 1)
    assert not caplog.records


def test_reversed_radial_limits_are_swapped_with_one_warning(caplog) -> None:
    one = parse_range([10, 20, 10, 2.5], 2)
    assert (one.radial_min, one.radial_max) == (2.5, 10)
    assert [record.getMessage() for record in caplog.records] == [
        "diff_ranges[1]: the radial limits of range 2, 10 and 2.5, are swapped"
    ]


FOUR = (
    "allowed: [azimuth start, azimuth end, radial start, radial end], each a number or null; "
    "or null for the whole detector"
)
FULL = "both ends are the same azimuth; for the full ring write -180, 180 or null, null"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ([10, 20, 0], f"diff_ranges[1] = [10, 20, 0]: range 2 has 3 entries, not four; {FOUR}"),
        ([], f"diff_ranges[1] = []: range 2 has no entries, not four; {FOUR}"),
        (10, f"diff_ranges[1] = 10: range 2 is not a list of four; {FOUR}"),
        ("0123", f"diff_ranges[1] = '0123': range 2 is not a list of four; {FOUR}"),
        (
            [10, "20", 0, 1],
            f"diff_ranges[1] = [10, '20', 0, 1]: '20' in range 2 is neither a finite number nor null; {FOUR}",
        ),
        (
            [True, 20, 0, 1],
            f"diff_ranges[1] = [True, 20, 0, 1]: True in range 2 is neither a finite number nor null; {FOUR}",
        ),
        (
            [10, float("nan"), 0, 1],
            f"diff_ranges[1] = [10, nan, 0, 1]: nan in range 2 is neither a finite number nor null; {FOUR}",
        ),
        (
            [10, 10, 0, 1],
            f"diff_ranges[1] = [10, 10, 0, 1]: the azimuths 10 and 10 of range 2: {FULL}; "
            "allowed: two different azimuths",
        ),
        (
            [180, -180, 0, 1],
            f"diff_ranges[1] = [180, -180, 0, 1]: the azimuths 180 and -180 of range 2: {FULL}; "
            "allowed: two different azimuths",
        ),
        (
            [10, 20, 5, 5],
            "diff_ranges[1] = [10, 20, 5, 5]: both radial limits of range 2 are 5; "
            "allowed: two different radial limits, or null for the detector's own",
        ),
    ],
)
def test_a_bad_range_is_refused_saying_why(entry, message) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_range(entry, 2)
    assert str(caught.value) == message


@pytest.mark.parametrize("entry", [[360, 0, 0, 1], [720, 0, 0, 1], [None, 0, 0, 1], [190.1, -169.9, 0, 1]])
def test_ends_equal_modulo_360_written_backwards_are_refused(entry) -> None:
    with pytest.raises(ConfigError, match="the same azimuth"):
        parse_range(entry, 1)


def test_infinite_and_overflowing_numbers_are_refused() -> None:
    for number in (float("inf"), -float("inf"), 10**400):
        with pytest.raises(ConfigError, match="neither a finite number nor null"):
            parse_range([0, 10, 0, number], 1)

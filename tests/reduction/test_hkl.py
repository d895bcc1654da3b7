"""Names of lines."""

from __future__ import annotations

import math

import pytest

from bluesky_diffractogram.reduction.hkl import conventional, cubic_indices, hkl_name


@pytest.mark.parametrize(
    ("hkl", "name"), [((2, 0, 0), "200"), ((1, 0, -4), "10m4"), ((0, 0, 12), "0_0_12"), ((11, -1, 3), "11_m1_3")]
)
def test_indices_are_written_so_that_they_can_be_told_apart(hkl, name):
    assert hkl_name(hkl) == name


@pytest.mark.parametrize(
    ("hkl", "cell", "expected"),
    [
        ((0, 0, 2), "Face centered cubic cell a=5.4", (2, 0, 0)),
        ((1, 3, 3), "Cubic cell", (3, 3, 1)),
        ((0, 0, 2), "Primitive tetragonal cell", (0, 0, 2)),
        ((1, 3, 2), "Primitive tetragonal cell", (3, 1, 2)),
        ((1, 0, -4), "Rhombohedral hexagonal cell", (1, 0, -4)),
        ((1, 0, 2), "", (1, 0, 2)),
    ],
)
def test_indices_are_ordered_as_far_as_the_lattice_allows(hkl, cell, expected):
    assert conventional(hkl, cell) == expected


@pytest.mark.parametrize(
    "lines",
    [
        [(1, 1, 1), (2, 0, 0), (2, 2, 0), (3, 1, 1)],
        [(1, 1, 1), (2, 2, 0), (3, 1, 1), (4, 0, 0), (3, 3, 1)],
        [(1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 0, 0), (2, 1, 0), (2, 1, 1), (2, 2, 0)],
        [(1, 1, 0), (2, 0, 0), (2, 1, 1), (2, 2, 0), (3, 1, 0), (2, 2, 2), (3, 2, 1)],
    ],
    ids=["face-centred", "diamond", "primitive", "body-centred"],
)
@pytest.mark.parametrize("lattice", [3.6, 5.43102])
def test_a_cubic_lattice_is_told_from_its_lines(lines, lattice):
    spacings = [lattice / math.sqrt(h * h + k * k + l * l) * 1.0002 for h, k, l in lines]
    assert cubic_indices(spacings) == tuple(lines)


def test_lines_that_are_not_those_of_a_cubic_lattice_have_no_indices():
    assert cubic_indices([3.34, 2.13, 2.03, 1.8]) is None
    assert cubic_indices([3.12, 2.7]) is None  # two say nothing

"""The units against pyFAI's own, and the spellings that are taken."""

from __future__ import annotations

import pytest

from bluesky_diffractogram.config import UNITS, parse_unit

LABELS = ["q [1/nm]", "q [1/A]", "2th [deg]", "2th [rad]", "r [mm]", "r [pixel]", "d [A]"]
NAMES = ["q_nm^-1", "q_A^-1", "2th_deg", "2th_rad", "r_mm", "r_pixel", "d_A"]


def test_the_units_are_lavues_six_and_d() -> None:
    assert [unit.label for unit in UNITS] == LABELS
    assert [unit.name for unit in UNITS] == NAMES


@pytest.mark.parametrize(("label", "name"), list(zip(LABELS, NAMES, strict=True)))
def test_label_and_name_in_any_case_and_spacing_are_the_same_unit(label: str, name: str) -> None:
    unit = next(unit for unit in UNITS if unit.label == label)
    for text in (label, label.upper(), label.replace(" ", ""), f"  {label} ", name, name.upper()):
        assert parse_unit(text) is unit


def test_angstrom_may_be_written_with_its_letter() -> None:
    assert parse_unit("d [Å]").name == "d_A"  # U+00C5
    assert parse_unit("q [1/\u212b]").name == "q_A^-1"  # the Angstrom sign


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_scale_and_need_of_a_wavelength_are_pyfais(unit) -> None:
    from pyFAI import units

    theirs = units.to_unit(unit.pyfai)
    assert str(theirs) == unit.pyfai
    assert unit.si_scale == pytest.approx(theirs.scale, rel=1e-15)
    assert unit.needs_wavelength == (units.to_unit(unit.pyfai).name.split("_")[0] in ("q", "d"))


def test_axis_labels_are_mathtext_that_matplotlib_can_draw() -> None:
    from matplotlib.mathtext import MathTextParser

    for unit in UNITS:
        MathTextParser("agg").parse(unit.axis_label)
    assert len({unit.axis_label for unit in UNITS}) == len(UNITS)


@pytest.mark.parametrize("text", ["q", "", "q [1/mm]", "2th", None, 3, ["q [1/nm]"]])
def test_what_is_no_unit_is_refused_with_the_list_of_units(text) -> None:
    with pytest.raises(ValueError, match=r"is no unit; allowed: 'q \[1/nm\]', .*'d \[A\]', or the names") as caught:
        parse_unit(text)
    assert all(repr(word) in str(caught.value) for word in (*LABELS, *NAMES))

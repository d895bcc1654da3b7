"""Colours of the ranges."""

from __future__ import annotations

import matplotlib
import pytest
from cycler import cycler

from bluesky_diffractogram.views.colors import OKABE_ITO, RangeColors


def test_lavue_colors_and_names_are_used_cyclically():
    colors = RangeColors([[255, 0, 128], "tab:green", (0.0, 0.0, 1.0)])
    assert [colors[number] for number in range(1, 6)] == [
        "#ff0080",
        "#2ca02c",
        "#0000ff",
        "#ff0080",
        "#2ca02c",
    ]


def test_integers_are_of_255_and_floats_of_1():
    assert RangeColors([[1, 0, 0]])[1] == "#010000"
    assert RangeColors([[1.0, 0, 0]])[1] == "#ff0000"


@pytest.mark.parametrize("nothing", [None, []])
def test_the_default_is_the_colour_blind_safe_palette(nothing):
    assert [RangeColors(nothing)[number] for number in range(1, 7)] == list(OKABE_ITO)


def test_a_cycle_that_the_user_has_set_is_kept():
    with matplotlib.rc_context({"axes.prop_cycle": cycler(color=["k", "r"])}):
        colors = RangeColors()
    assert (colors[1], colors[2], colors[3]) == ("#000000", "#ff0000", "#000000")


@pytest.mark.parametrize("wrong", [[[0, 0, 256]], ["no colour"], [[0.5, 2.0, 0.0]]])
def test_what_is_no_color_is_refused_or_from_a_document_replaced(wrong, caplog):
    with pytest.raises(ValueError, match=r"256|no colour|0-1"):
        RangeColors(wrong)
    assert RangeColors.configured(wrong)[1] == OKABE_ITO[0]
    assert "colors = " in caplog.text


@pytest.mark.parametrize("wrong", [5, [5], {"a": 1}, [None]])
def test_a_document_with_nonsense_for_colors_gives_the_default(wrong):
    assert RangeColors.configured(wrong)[1] == OKABE_ITO[0]

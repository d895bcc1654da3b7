"""The legend of the curves."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from bluesky_diffractogram.views.legend import write_legend


def legend(count, references=0, **kwargs):
    """The legend of `count` lines, and the axes."""
    ax = Figure(figsize=(8, 4)).add_subplot()
    lines = {f"{n}: a range": ax.plot([0, 1], [0, n])[0] for n in range(1, count + 1)}
    others = [(ax.plot([0, 1], [n, 0])[0], f"other {n}") for n in range(references)]
    write_legend(ax, lines, others, **kwargs)
    ax.figure.canvas.draw()
    return ax.get_legend(), ax


def texts(count, references=0, **kwargs):
    """What it says."""
    return [text.get_text() for text in legend(count, references, **kwargs)[0].get_texts()]


def test_each_line_is_named():
    assert texts(3) == ["1: a range", "2: a range", "3: a range"]


def test_what_else_is_drawn_comes_last():
    assert texts(1, 2) == ["1: a range", "other 0", "other 1"]


@pytest.mark.parametrize(("count", "said"), [(8, 8), (9, 8), (36, 8)])
def test_many_lines_are_named_as_far_as_there_is_room(count, said):
    found = texts(count)
    assert len(found) == said
    assert found[-1] == (f"{count}: a range" if count == 8 else f"… and {count - 7} more")


@pytest.mark.parametrize("count", [1, 5, 9, 36])
@pytest.mark.parametrize("references", [0, 2])
def test_above_the_axes_it_hides_nothing_and_has_two_lines_at_most(count, references):
    box, ax = legend(count, references, above=True)
    assert box.get_window_extent().y0 >= ax.get_window_extent().y1 - 1
    said = texts(count, references, above=True)
    assert len(said) == min(count + references, len(said))
    assert len(said) >= min(count + references, 6)
    assert len({round(text.get_window_extent().y0) for text in box.get_texts()}) <= 2
    assert [text for text in said if text.startswith("other")] == [f"other {n}" for n in range(references)]
    named = [text for text in said if text.endswith("a range")]
    rest = [text for text in said if "more" in text]
    assert rest == ([] if len(named) == count else [f"… and {count - len(named)} more"])


def test_inside_it_stays_inside():
    box, ax = legend(3)
    assert ax.get_window_extent().y1 > box.get_window_extent().y1


def test_above_narrow_axes_texts_are_cut_after_their_azimuths_before_ranges_are_left_out():
    def said(width):
        ax = Figure(figsize=(width, 4)).add_subplot()
        lines = {f"{n}: χ 10…20°, q 11.43…43.21 nm⁻¹": ax.plot([0, 1], [0, n])[0] for n in (1, 2)}
        write_legend(ax, lines, above=True)
        ax.figure.canvas.draw()
        box = ax.get_legend().get_window_extent()
        assert box.x1 <= ax.get_window_extent().x1
        return [text.get_text() for text in ax.get_legend().get_texts()]

    assert said(8) == ["1: χ 10…20°, q 11.43…43.21 nm⁻¹", "2: χ 10…20°, q 11.43…43.21 nm⁻¹"]
    assert said(3) == ["1: χ 10…20°", "2: χ 10…20°"]

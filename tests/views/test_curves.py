"""The curves: what the lines hold against what the documents said."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from derived_run_example import DerivedRun, RangeExample
from matplotlib.figure import Figure

from bluesky_diffractogram.views.colors import OKABE_ITO
from bluesky_diffractogram.views.curves import LiveDiffractogram
from bluesky_diffractogram.views.frozen import REFERENCE

TWO = (RangeExample(gap=slice(90, 100)), RangeExample((-5, 5), (2, 8), 150, (0.2, 0.5, 0.7)))


def drawn(*runs, **kwargs):
    """Curves that have drawn `runs`."""
    curves = LiveDiffractogram(**kwargs)
    for run in runs:
        run.feed(curves)
    curves.draw()
    return curves


def last(run):
    """The data of the last event of `run`."""
    return [doc["data"] for name, doc in run.documents() if name == "event"][-1]


def legend(curves):
    """Texts of the legend."""
    return [text.get_text() for text in curves.ax.get_legend().get_texts()]


def test_each_line_is_the_last_diffractogram_of_its_range():
    curves = drawn(DerivedRun(TWO, 4))
    data = last(DerivedRun(TWO, 4))
    assert sorted(curves.lines) == [1, 2]
    for number, line in curves.lines.items():
        np.testing.assert_array_equal(line.get_xydata().T, data[f"diff_{number}"])
        assert line.get_color() == OKABE_ITO[number - 1]


def test_markers_stand_at_the_peaks_that_there_are():
    curves = drawn(DerivedRun(TWO, 4))
    data = last(DerivedRun(TWO, 4))
    for number, peaks in ((1, 2), (2, 3)):
        marked = curves.markers[number].get_xydata().T
        assert marked.shape == (2, peaks)
        np.testing.assert_array_equal(marked, data[f"peaks_{number}"][:, :peaks])
        assert curves.markers[number].get_color() == OKABE_ITO[number - 1]


def test_markers_can_be_left_out():
    curves = drawn(DerivedRun(TWO, 4), peaks=False)
    assert [len(marker.get_xdata()) for marker in curves.markers.values()] == [0, 0]


def test_no_peaks_no_markers():
    curves = drawn(DerivedRun((RangeExample(centres=()),), 2))
    assert len(curves.markers[1].get_xdata()) == 0


def test_the_legend_says_which_line_is_which_range():
    assert legend(drawn(DerivedRun(TWO, 2))) == ["1: χ 10…20°, q 0…10 nm⁻¹", "2: χ −5…5°, q 2…8 nm⁻¹"]
    many = drawn(DerivedRun([RangeExample((number, number + 1)) for number in range(12)], 1))
    assert legend(many)[:2] == ["1: χ 0…1°, q 0…10 nm⁻¹", "2: χ 1…2°, q 0…10 nm⁻¹"]
    assert legend(many)[-1] == "… and 5 more"
    assert len(legend(many)) == 8
    assert len(many.lines) == 12


@pytest.mark.parametrize(
    ("unit", "label"),
    [("q_nm^-1", "$q$ (nm$^{-1}$)"), ("2th_deg", r"$2\theta$ (°)"), ("r_pixel", "$r$ (pixel)")],
)
def test_the_axes_are_labelled_with_their_units(unit, label):
    curves = drawn(DerivedRun(unit=unit, scale=2e5))
    assert curves.ax.get_xlabel() == label
    assert curves.ax.get_ylabel() == "intensity ($10^{3}$ counts)"


def test_everything_is_in_view():
    curves = drawn(DerivedRun(TWO, 4))
    data = last(DerivedRun(TWO, 4))
    both = np.concatenate([data["diff_1"], data["diff_2"]], axis=1)
    left, right = curves.ax.get_xlim()
    assert left == both[0].min()
    assert right == both[0].max()
    low, high = curves.ax.get_ylim()
    assert low < np.nanmin(both[1])
    assert high > np.nanmax(both[1])


def test_the_title_names_run_frame_and_readings():
    run = DerivedRun(
        frames=3, readings=lambda frame: {"temperature": 300 + frame / 3}, reading_units={"temperature": "K"}
    )
    assert drawn(run).ax.get_title(loc="left") == "scan 12 [raw123]  ·  frame 3  ·  temperature 300.7 K"
    curves = drawn(DerivedRun(), title="T", xlabel="X", ylabel="Y")
    assert (curves.ax.get_title(), curves.ax.get_xlabel(), curves.ax.get_ylabel()) == ("T", "X", "Y")


@pytest.mark.parametrize("where", ["argument", "configuration"])
def test_colors_are_those_given(where):
    colors = [[255, 0, 0], "green"]
    configuration = {"colors": colors} if where == "configuration" else {"colors": ["black"]}
    curves = drawn(DerivedRun(TWO, configuration=configuration), colors=colors if where == "argument" else None)
    assert [curves.lines[number].get_color() for number in (1, 2)] == ["#ff0000", "#008000"]


def test_lines_are_used_again_from_frame_to_frame_and_replaced_in_another_run():
    curves = drawn(DerivedRun(TWO, 3))
    run = DerivedRun((RangeExample(npt=77),), 3, unit="r_mm")
    for name, doc in (("start", run.start), run.begin(), run.event(0)):
        curves(name, doc)
    curves.draw()
    line, artists = curves.lines[1], len(curves.ax.get_children())
    curves(*run.event(1))
    curves.draw()
    assert curves.lines[1] is line
    assert list(curves.lines) == [1]
    assert len(curves.ax.get_children()) == artists
    assert len(line.get_xdata()) == 77
    assert legend(curves) == ["1: χ 10…20°, r 0…10 mm"]
    for _ in range(3):
        DerivedRun(TWO, 2).feed(curves)
        curves.draw()
    assert len(curves.ax.lines) == 4


def test_frozen_curves_stay_as_grey_references_until_they_are_cleared():
    run = DerivedRun(TWO, 5)
    curves = LiveDiffractogram()
    for name, doc in (("start", run.start), run.begin(), run.event(0)):
        curves(name, doc)
    curves.freeze()
    assert curves.changed()
    first, second = run.event(0)[1]["data"], run.event(4)[1]["data"]
    curves(*run.event(4))
    curves.draw()
    grey = [line for line in curves.ax.lines if line not in (*curves.lines.values(), *curves.markers.values())]
    for number, line in enumerate(grey, 1):
        np.testing.assert_array_equal(line.get_xydata().T, first[f"diff_{number}"])
        assert line.get_color() == "0.65"
        assert line.get_zorder() < curves.lines[number].get_zorder()
    assert len(grey) == 2
    assert legend(curves)[-1] == "frozen"
    np.testing.assert_array_equal(curves.lines[1].get_ydata(), second["diff_1"][1])
    curves.freeze()
    curves.draw()
    assert len(curves.ax.lines) == 4 + 4
    curves.clear()
    assert curves.changed()
    curves.draw()
    assert len(curves.ax.lines) == 4
    assert "frozen" not in legend(curves)


def test_references_do_not_outlive_their_unit():
    curves = drawn(DerivedRun(TWO, 3))
    curves.freeze()
    DerivedRun(TWO, 3).feed(curves)
    curves.draw()
    assert len(curves.ax.lines) == 6
    DerivedRun(TWO, 3, unit="2th_deg").feed(curves)
    curves.draw()
    assert len(curves.ax.lines) == 4


def test_freezing_nothing_is_nothing():
    curves = LiveDiffractogram()
    curves.freeze()
    curves.clear()
    curves.draw()
    assert not curves.ax.lines
    assert [text.get_text() for text in curves.ax.texts] == ["no frames yet"]


def test_a_zoom_is_kept_in_its_unit():
    curves = drawn(DerivedRun(TWO, 3))
    curves.ax.set_xlim(3, 4)
    DerivedRun(TWO, 3).feed(curves)
    curves.draw()
    assert curves.ax.get_xlim() == (3, 4)
    DerivedRun((RangeExample(radial=(20, 30)),), 3, unit="2th_deg").feed(curves)
    curves.draw()
    assert 19.9 < curves.ax.get_xlim()[0] < 20.1


def test_a_logarithmic_axis_leaves_out_what_it_cannot_show():
    def holes(frame, number, intensity):
        intensity[10:20] = -5.0

    curves = drawn(DerivedRun(frames=3, change=holes), scale="log")
    assert curves.ax.get_yscale() == "log"
    assert curves.ax.get_ylim()[0] > 1
    assert curves.ax.get_ylabel() == "intensity (counts)"


@pytest.mark.filterwarnings("error")
def test_a_frame_without_any_value_is_an_empty_line():
    def nothing(frame, number, intensity):
        intensity[:] = np.nan

    curves = drawn(DerivedRun((RangeExample(centres=()),), 2, change=nothing))
    assert np.isnan(curves.lines[1].get_ydata()).all()


def test_other_runs_are_ignored():
    documents = list(DerivedRun(frames=2).documents())
    del documents[0][1]["purpose"]
    curves = LiveDiffractogram()
    for name, doc in documents:
        curves(name, doc)
    assert not curves.changed()
    curves.draw()
    assert curves.ax.get_legend() is None


def test_documents_may_come_from_another_thread_while_it_is_drawn():
    run = DerivedRun(TWO, 150)
    curves = LiveDiffractogram()
    thread = threading.Thread(target=run.feed, args=(curves,))
    thread.start()
    while thread.is_alive():
        curves.draw()
    thread.join()
    curves.draw()
    data = last(DerivedRun(TWO, 150))
    np.testing.assert_array_equal(curves.lines[2].get_xydata().T, data["diff_2"])


def test_it_draws_on_given_axes():
    ax = Figure().add_subplot()
    curves = drawn(DerivedRun(), ax=ax)
    assert curves.ax is ax
    assert curves.lines[1] in ax.lines


def test_curves_frozen_between_a_change_of_the_unit_and_its_drawing_stay():
    curves = LiveDiffractogram()
    DerivedRun([RangeExample()], 2).feed(curves)
    curves.draw()
    curves.freeze()
    DerivedRun([RangeExample(radial=(3, 9))], 2, unit="2th_deg").feed(curves)
    curves.freeze()
    for _ in range(2):
        curves.draw()
        (reference,) = [line for line in curves.ax.lines if line.get_color() == REFERENCE]
        np.testing.assert_array_equal(reference.get_xydata(), curves.lines[1].get_xydata())
    DerivedRun([RangeExample()], 2).feed(curves)
    curves.draw()  # in its own unit the first one is seen again
    (reference,) = [line for line in curves.ax.lines if line.get_color() == REFERENCE]
    np.testing.assert_array_equal(reference.get_xydata(), curves.lines[1].get_xydata())
    curves.clear()
    curves.draw()
    assert len(curves.ax.lines) == 2


def test_bins_that_stand_alone_are_seen():
    def sparse(frame, number, intensity):
        if number == 1:
            intensity[:] = np.nan
            intensity[[3, 50, 51, 90]] = 20.0

    curves = drawn(DerivedRun((RangeExample(npt=100), RangeExample(npt=1)), 1, change=sparse))
    assert curves.lines[1].get_marker() == "o"
    assert curves.lines[1].get_markevery() == [3, 90]
    DerivedRun((RangeExample(npt=1),), 1).feed(curves)
    curves.draw()
    assert curves.lines[1].get_markevery() == [0]
    DerivedRun((RangeExample(),), 1).feed(curves)
    curves.draw()
    assert curves.lines[1].get_marker() == "none"


def test_curves_without_anything_above_zero_say_so_on_a_logarithmic_axis(recwarn):
    def negative(frame, number, intensity):
        intensity[:] = -5.0

    curves = drawn(DerivedRun(frames=2, change=negative), scale="log", peaks=False)
    assert (curves._empty.get_visible(), curves._empty.get_text()) == (True, "nothing above zero")
    assert not [warning for warning in recwarn if "log" in str(warning.message)]
    DerivedRun(frames=2).feed(curves)
    curves.draw()
    assert not curves._empty.get_visible()
    assert curves.ax.get_ylim()[1] > 1000

"""What goes into the buffers, when they are emptied, and what those who show them are told."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.documents.buffers import Buffers, BuffersEmptied, Collecting
from bluesky_diffractogram.documents.messages import OriginOfFrame
from bluesky_diffractogram.documents.setting import Setting

NPT = 20


@pytest.fixture
def setting(cfg):
    def opened(before=None, **changes):
        return Setting.open(load_config({**cfg, "npt": NPT, "buffer_size": 3, **changes}), before)

    return opened


class Filled:
    """Buffers, what they tell, and a stand-in for what is computed with one axis for both ranges."""

    def __init__(self, setting):
        self.news = []
        self.setting = setting
        self.buffers = Buffers(setting, self.news.append)
        self.reducer = self.reducer_of(0.0)

    @staticmethod
    def reducer_of(begin, shape=(120, 130)):
        return SimpleNamespace(axes=(np.linspace(begin, 1, NPT), np.linspace(begin, 2, NPT)), shape=shape)

    def collect(self, number, *, setting=None, reducer=None, run_uid="run", **carried):
        reducer = reducer or self.reducer
        curves = [SimpleNamespace(radial=axis, intensity=np.full(NPT, float(number))) for axis in reducer.axes]
        reduction = SimpleNamespace(diffractograms=curves, frame=SimpleNamespace(timestamp=100.0 + number))
        origin = OriginOfFrame(f"event {number}", "primary", number, 0, carried, {})
        self.buffers.collect(reduction, reducer, setting or self.setting, origin, run_uid)

    def rows(self):
        """The first value of each row, of each range."""
        return [list(buffer.to_xarray().values[:, 0]) if len(buffer) else [] for buffer in self.buffers.ranges]


@pytest.fixture
def filled(setting):
    return Filled(setting())


def test_each_range_has_the_last_rows_with_their_times_and_readings(filled):
    for number in range(1, 6):
        filled.collect(number, motor=10.0 * number, image=np.zeros((2, 2)))
    assert filled.rows() == [[3.0, 4.0, 5.0]] * 2
    first = filled.buffers.ranges[0].to_xarray()
    np.testing.assert_array_equal(first.coords["radial"], filled.reducer.axes[0])
    np.testing.assert_array_equal(first.coords["motor"], [30.0, 40.0, 50.0])
    assert "image" not in first.coords  # no scalar


def test_a_frame_that_comes_again_takes_its_own_row_and_that_of_another_run_does_not(filled):
    filled.collect(1)
    filled.collect(2)
    filled.collect(1)
    assert filled.rows() == [[1.0, 2.0]] * 2
    filled.collect(1, run_uid="another")
    assert filled.rows() == [[1.0, 2.0, 1.0]] * 2


def test_a_reset_empties_them_and_is_told(filled):
    filled.collect(1)
    filled.buffers.reset()
    assert filled.rows() == [[], []]
    assert filled.news == [Collecting(True), BuffersEmptied(3)]


def test_settings_that_alter_the_numbers_or_the_size_empty_them_and_others_do_not(filled, setting):
    filled.collect(1)
    filled.buffers.change(other := setting(filled.setting, queue_size=3))
    assert filled.rows() == [[1.0]] * 2
    filled.buffers.change(larger := setting(other, buffer_size=7))
    assert filled.rows() == [[], []]
    filled.collect(1, setting=larger)
    filled.buffers.change(setting(larger, buffer_size=7, diff_units="2th [deg]"))
    assert filled.rows() == [[], []]
    assert [news for news in filled.news if isinstance(news, BuffersEmptied)] == [BuffersEmptied(7)] * 2


def test_frames_received_under_a_setting_before_do_not_go_into_its_successors_buffers(filled, setting):
    """As those whose files come late."""
    filled.buffers.change(setting(filled.setting, diff_units="2th [deg]"))
    filled.collect(1)
    assert filled.rows() == [[], []]
    assert filled.news[-1] == Collecting(False)


def test_nothing_is_collected_while_that_is_off_and_each_change_is_told_once(filled, setting):
    filled.collect(1)
    off = filled.setting.switched(collect=False)
    for _ in range(2):
        filled.buffers.change(off)
        filled.collect(2, setting=off)
    on = off.switched(collect=True)
    filled.buffers.change(on)
    filled.collect(3, setting=on)
    assert filled.rows() == [[1.0, 3.0]] * 2
    assert filled.news == [Collecting(True), Collecting(False), Collecting(True)]


def test_frames_of_another_shape_empty_them_where_they_have_other_axes_only(filled):
    filled.collect(1)
    filled.collect(2, reducer=filled.reducer_of(0.0, shape=(60, 65)))
    assert filled.rows() == [[1.0, 2.0]] * 2
    filled.collect(3, reducer=filled.reducer_of(0.1))
    assert filled.rows() == [[3.0]] * 2
    assert filled.news == [Collecting(True), BuffersEmptied(3)]

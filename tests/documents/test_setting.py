"""Reducers of one setting after another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.documents.setting import KEPT_REDUCERS, Reducers, Setting
from bluesky_diffractogram.reduction import splitting
from bluesky_diffractogram.reduction.disk_cache import FOLDER_VARIABLE
from bluesky_diffractogram.reduction.frame import Frame

from .conftest import SHAPE, image

FIRST, SECOND, THIRD = [10, 60, 4, 16], [-5, 40, 5, 15], [100, 130, None, None]


@pytest.fixture
def splittings(monkeypatch):
    """How many splittings are run; nothing is kept on disk."""
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    run = []
    split = splitting.split_pixels
    monkeypatch.setattr(splitting, "split_pixels", lambda *given: run.append(1) or split(*given))
    return run


@pytest.fixture
def setting(cfg):
    def opened(before=None, **changes):
        return Setting.open(load_config({**cfg, **changes}), before)

    return opened


def intensities(reducer):
    return [each.intensity for each in reducer.reduce(Frame(image(1), 0.0)).diffractograms]


def test_a_changed_range_alone_is_split_and_gives_what_a_fresh_start_gives(setting, splittings):
    reducers = Reducers()
    first = setting(diff_ranges=[FIRST, SECOND])
    reducers.get(first, SHAPE)
    second = setting(first, diff_ranges=[THIRD, FIRST, SECOND])
    splittings.clear()
    after = reducers.get(second, SHAPE)
    assert len(splittings) == 1
    assert reducers.get(second, SHAPE) is after
    for mine, expected in zip(intensities(after), intensities(Reducers().get(second, SHAPE)), strict=True):
        np.testing.assert_array_equal(mine, expected)


def test_going_back_further_than_reducers_are_kept_splits_no_range_that_was_kept_on_the_way(setting, splittings):
    """The first setting's own reducer is gone by then; its ranges live on in the others."""
    reducers, opened = Reducers(), [setting(diff_ranges=[FIRST, SECOND])]
    reducers.get(opened[0], SHAPE)
    for n in range(KEPT_REDUCERS):
        opened.append(setting(opened[-1], diff_ranges=[FIRST, SECOND, [0, 10 + n, 4, 16]]))
        reducers.get(opened[-1], SHAPE)
    assert len(splittings) == 2 + KEPT_REDUCERS
    reducers.get(opened[0], SHAPE)
    assert len(splittings) == 2 + KEPT_REDUCERS


def test_another_calibration_shares_nothing(setting, splittings, tmp_path, cfg):
    reducers = Reducers()
    first = setting()
    reducers.get(first, SHAPE)
    moved = tmp_path / "moved.poni"
    with open(cfg["calibration"]) as file:
        moved.write_text(file.read().replace("Distance: 0.1", "Distance: 0.11"))
    reducers.get(setting(first, calibration=str(moved)), SHAPE)
    assert len(splittings) == 4


def test_threads_that_ask_at_once_get_the_same_reducers(setting, splittings):
    reducers = Reducers()
    opened = [setting(diff_ranges=[FIRST, SECOND]), setting(diff_ranges=[SECOND, THIRD]), setting(diff_ranges=[THIRD])]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: reducers.get(opened[n % 3], SHAPE), range(24)))
    assert len({id(each) for each in got}) == 3
    assert len(splittings) == 3

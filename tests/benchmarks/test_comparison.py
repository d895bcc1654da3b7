"""The check that numbers are pyFAI's fails where they are not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from comparison import MOST_DIFFERENT, differences

X = np.arange(1.0, 5.0)


def found(sigma):
    ours = SimpleNamespace(radial=X, intensity=X, sigma=sigma)
    theirs = SimpleNamespace(radial=X, intensity=X, count=X, sem=X)
    return differences([ours], [theirs], ("intensity", "sigma"))


def test_equal_numbers_differ_by_nothing():
    assert found(X) == {"intensity": 0.0, "sigma": 0.0}


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 2.5])
def test_one_wrong_number_is_enough(wrong):
    sigma = np.where(X == 2.0, wrong, X)
    assert not found(sigma)["sigma"] <= MOST_DIFFERENT
    assert found(sigma)["intensity"] == 0.0

"""A detector small enough that thousands of its frames take a second."""

from __future__ import annotations

import gc

import pytest
from fault_tools import RANGES, small_poni


@pytest.fixture(autouse=True, scope="module")
def _imports_are_no_garbage():
    """pyFAI collects garbage with every calibration: 0.2 s each time among all that is imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def poni(tmp_path_factory):
    return small_poni(tmp_path_factory.mktemp("poni") / "small.poni")


@pytest.fixture(scope="module")
def cfg(poni):
    """The configuration of most tests: two ranges, one across the seam at 180°, and few points."""
    return {"calibration": str(poni), "diff_ranges": RANGES, "diff_units": "2th [deg]", "npt": 40}

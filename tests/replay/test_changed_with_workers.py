"""A configuration that was changed in mid-run, with frames reduced elsewhere and with an earlier result at hand."""

from __future__ import annotations

import numpy as np
import pytest
from derived_documents import without_identity
from documents.conftest import Collected
from documents.stream_runs import StreamRun, images, uri_of, write_hdf5
from test_frame_settings import reduced

from bluesky_diffractogram import replay


@pytest.mark.xdist_group("workers")
def test_workers_reduce_each_frame_as_it_was(cfg, tmp_path, pool):
    write_hdf5(tmp_path / "frames.h5", images(6))
    raw = list(StreamRun(uri_of(tmp_path / "frames.h5"), motor=True).step_scan(6))
    derived = reduced(cfg, raw, {5: {"npt": 70}})
    again = Collected()
    replay(derived, raw=raw, workers=pool).store(again)
    assert len(again.of("descriptor")) == 2
    np.testing.assert_equal(without_identity(again), without_identity(derived))


def test_an_earlier_result_under_the_first_settings_is_not_taken_for_the_others(cfg, tmp_path):
    write_hdf5(tmp_path / "frames.h5", images(4))
    raw = list(StreamRun(uri_of(tmp_path / "frames.h5"), motor=True).step_scan(4))
    derived = reduced(cfg, raw, {3: {"npt": 70}})
    all_alike, again = Collected(), Collected()
    replay(raw, cfg).store(all_alike)
    replay(derived, raw=raw, resume=list(all_alike)).store(again)
    np.testing.assert_equal(without_identity(again), without_identity(derived))

"""Runs of two detectors with darks of each, reduced again: the same, by workers, resumed, and out of tiled."""

from __future__ import annotations

import pytest
from bluesky_tiled_plugins import TiledWriter
from derived_documents import assert_same, derived_of
from documents.conftest import image
from documents.dark_runs import dark_image
from documents.merged_dark_runs import TwoDarkened, second_dark
from documents.merged_runs import merged_config, second_image
from documents.stream_runs import settle, write_hdf5
from live_runs import assert_same_numbers, live_of
from test_reduced_ahead import blocks  # noqa: F401  (a fixture)
from tiled_servers import tiled_server_here

from bluesky_diffractogram import ReplayError, replay

pytestmark = pytest.mark.xdist_group("stores")  # one server


@pytest.fixture
def two(tmp_path):
    return merged_config(tmp_path, error_model="poisson", dark={"stream": "dark"})


@pytest.fixture
def run(tmp_path):
    return TwoDarkened(folder=tmp_path).in_files()


def numbers(derived):
    return [(doc["data"]["dark_seq_num"], doc["data"]["dark_seq_num_det2"]) for doc in derived.of("event")]


def test_in_files(two, run):
    live = live_of(two, run)
    again = derived_of(run, two)
    assert_same(again, live.derived)
    assert numbers(again) == [(1, 1), (1, 1), (2, 2), (2, 2)]
    assert_same(derived_of(again, raw=run), again)


def test_in_memory_and_before_the_first_dark(two):
    run = TwoDarkened()
    documents = [*run.begin(), run.event(image(0), second_image(0)), run.dark(dark_image(0), second_dark(0))]
    documents += [run.event(image(1), second_image(1)), run.stop()]
    for dark in ({"stream": "dark"}, {"stream": "dark", "optional": True}):
        settings = {**two, "dark": dark}
        live = live_of(settings, documents)
        assert_same(derived_of(live.raw, settings), live.derived)


def test_workers_have_the_same_darks(two, run, blocks):  # noqa: F811
    assert_same(derived_of(run, two, workers=2), derived_of(run, two))
    assert blocks == [1, 2]  # the first frame is reduced here, and each block has one pair of darks


def test_a_dark_of_the_second_detector_that_cannot_be_read(two, run, blocks, tmp_path):  # noqa: F811
    (tmp_path / "det2_dark.h5").unlink()
    with pytest.raises(ReplayError, match="4 for no dark: no dark came before it in its run under 'det2'"):
        derived_of(run, two)
    two = {**two, "merge": [{**two["merge"][0], "optional": True}]}
    alone = derived_of(run, two)
    frames = alone.of("stop")[0]["frames"]
    assert frames["darks"]["reasons"] == {"file": 2}
    assert frames["without"]["det2"]["reasons"] == {"no dark": 4}
    assert numbers(alone) == [(1, 0), (1, 0), (2, 0), (2, 0)]
    live = live_of(two, run, file_timeout=0)
    assert numbers(live.derived) == numbers(alone)
    assert_same(derived_of(run, two, workers=2), alone)
    assert_same(derived_of(run, two, resume=alone), alone)


def test_frames_whose_second_dark_is_another_now_are_computed_again(two, run, reduced, tmp_path):
    first = derived_of(run, two)
    reduced.clear()
    assert_same(derived_of(run, two, resume=first), first)
    assert len(reduced) == 1
    write_hdf5(tmp_path / "det2_dark.h5", [second_dark(0), second_dark(9)])
    settle()
    reduced.clear()
    again = derived_of(run, two, resume=first)
    assert len(reduced) == 3
    assert_same(again, derived_of(run, two))


def test_out_of_tiled(two, tmp_path):
    folder = tmp_path / "detectors"
    folder.mkdir()
    live = live_of(two, TwoDarkened(folder=folder).in_files())
    from tiled.client import from_uri

    with tiled_server_here(tmp_path / "server", readable_storage=str(folder)) as server:
        client = from_uri(server.uri)
        writer = TiledWriter(client)
        for name, doc in live.raw:
            writer(name, doc)
        found = replay(client[live.uid], two).to_xarray()
    assert_same_numbers(found, live)
    assert found["dark_seq_num_det2"].values.tolist() == [1, 1, 2, 2]

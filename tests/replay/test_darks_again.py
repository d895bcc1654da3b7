"""Runs with darks in them, replayed: the same numbers, from any store, with workers, and resumed."""

from __future__ import annotations

from dataclasses import replace

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky.preprocessors import run_decorator, stage_decorator
from bluesky_tiled_plugins import TiledWriter
from databroker import temp
from derived_documents import without_identity
from documents.conftest import Collected, image
from documents.dark_runs import DarkRun, dark_image, run_in_files
from documents.stream_runs import settle, write_hdf5
from documents.test_callback import assert_valid
from live_runs import assert_same_numbers, live_of, run_live
from test_reduced_ahead import blocks  # noqa: F401  (a fixture)
from tiled_servers import tiled_server_here

from bluesky_diffractogram import ReplayError, replay
from bluesky_diffractogram.replay.darks_ahead import DarksAhead

pytestmark = pytest.mark.xdist_group("stores")  # one server

STREAM = {"stream": "dark"}


@pytest.fixture
def darkened(cfg):
    """The configuration with darks in a stream of their own."""
    return {**cfg, "dark": STREAM, "error_model": "poisson"}


def darks_and_frames(detector, motor):
    """A plan: two darks, each followed by two frames."""

    @stage_decorator([detector])
    @run_decorator(md={"hints": {"dimensions": [[["motor"], "primary"]]}})
    def plan():
        for n in range(2):
            yield from bps.mv(motor, 20 + n)
            yield from bps.trigger_and_read([detector], name="dark")
            for m in range(2):
                yield from bps.mv(motor, n + 2 * m)
                yield from bps.trigger_and_read([detector, motor])

    return plan()


def derived_of(*arguments, **settings):
    collected = Collected()
    replay(*arguments, **settings).store(collected)
    assert_valid(collected)
    return collected


def assert_same(documents, others):
    np.testing.assert_equal(without_identity(documents), without_identity(others))


def numbers(derived):
    return [doc["data"]["dark_seq_num"] for doc in derived.of("event")]


@pytest.fixture
def hdf5_run(tmp_path):
    return run_in_files(tmp_path)


@pytest.mark.parametrize("kind", ["detector", "npy_detector"])
def test_the_documents_are_those_that_were_derived_live(darkened, motor, request, kind):
    live = run_live(darkened, darks_and_frames(request.getfixturevalue(kind), motor))
    again = derived_of(live.raw, darkened)
    assert_same(again, live.derived)
    assert numbers(again) == [1, 1, 2, 2]


def test_a_derived_run_says_enough_to_be_replayed_from(darkened, hdf5_run):
    first = derived_of(hdf5_run, darkened)
    assert_same(derived_of(first, raw=hdf5_run), first)


def test_shutter_closed_frames_are_darks_again(cfg, tmp_path):
    cfg = {**cfg, "dark": {"key": "shutter", "value": "closed"}}
    run = DarkRun(readings={"shutter": "string"})
    documents = run.begin("primary")
    for n, state in enumerate(("open", "closed", "open", "open")):
        documents.append(run.event(dark_image(n) if state == "closed" else image(n), shutter=state))
    live = live_of(cfg, [*documents, run.stop()])
    again = derived_of(live.raw, cfg)
    assert_same(again, live.derived)
    assert again.of("stop")[0]["frames"]["reasons"] == {"no dark": 1}


def test_a_run_of_nothing_but_darks_is_an_error_that_says_so(cfg):
    run = DarkRun(readings={"shutter": "string"})
    documents = [*run.begin("primary"), run.event(dark_image(0), shutter="closed"), run.stop()]
    with pytest.raises(ReplayError, match="all of its 1 images are darks"):
        list(replay(documents, {**cfg, "dark": {"key": "shutter", "value": "closed"}}))


# -- stores --------------------------------------------------------------------------------------------------


def test_databroker(darkened, motor, detector):
    live = run_live(darkened, darks_and_frames(detector, motor))
    broker = temp().v1
    for name, doc in live.raw:
        broker.insert(name, doc)
    for run in (broker[live.uid], broker.v2[live.uid]):
        found = replay(run, darkened).to_xarray()
        assert_same_numbers(found, live)
        assert found["dark_seq_num"].values.tolist() == [1, 1, 2, 2]


@pytest.fixture(scope="module")
def tiled_files(tmp_path_factory):
    return tmp_path_factory.mktemp("detector")


@pytest.fixture(scope="module")
def tiled(tiled_files, tmp_path_factory):
    from tiled.client import from_uri

    with tiled_server_here(tmp_path_factory.mktemp("server"), readable_storage=str(tiled_files)) as server:
        yield from_uri(server.uri)


def in_tiled(tiled, live):
    writer = TiledWriter(tiled)
    for name, doc in live.raw:
        writer(name, doc)
    return tiled[live.uid]


@pytest.mark.parametrize("kind", ["arrays", "hdf5"])
def test_tiled_keeps_streams_apart_and_their_order_is_found_again(darkened, motor, detector, tiled, tiled_files, kind):
    if kind == "arrays":
        live = run_live(darkened, darks_and_frames(detector, motor))
    else:
        live = live_of(darkened, run_in_files(tiled_files))
    found = replay(in_tiled(tiled, live), darkened).to_xarray()
    assert_same_numbers(found, live)
    assert found["dark_seq_num"].values.tolist() == numbers(live.derived) == sorted(numbers(live.derived))


def test_files_that_both_streams_share_are_not_told_apart_in_tiled_which_is_said(
    darkened, motor, npy_detector, tiled, tiled_files
):
    npy_detector.save_path = str(tiled_files)
    live = run_live(darkened, darks_and_frames(npy_detector, motor))
    with pytest.raises(
        ReplayError, match=r"streams 'dark' and 'primary' in .*, and tiled does not keep which are whose"
    ):
        replay(in_tiled(tiled, live), darkened).to_xarray()


# -- workers, and resumed ------------------------------------------------------------------------------------


def test_workers_have_the_same_dark(darkened, hdf5_run, blocks):  # noqa: F811
    assert_same(derived_of(hdf5_run, darkened, workers=2), derived_of(hdf5_run, darkened))
    assert blocks == [2, 3]  # the first frame is reduced here, and each block has one dark


def test_frames_behind_a_dark_that_cannot_be_read_have_the_earlier_one_with_workers(
    darkened,
    tmp_path,
    hdf5_run,
    blocks,  # noqa: F811
):
    """Which is not known before their turn: they are reduced here."""
    write_hdf5(tmp_path / "darks.h5", [dark_image(0)])
    settle()
    alone = derived_of(hdf5_run, darkened)
    assert_same(derived_of(hdf5_run, darkened, workers=2), alone)
    assert numbers(alone) == [1] * 6
    assert alone.of("stop")[0]["frames"]["darks"]["reasons"] == {"file": 1}
    assert blocks == [2]


def test_frames_without_a_dark_with_workers(darkened, tmp_path, blocks):  # noqa: F811
    documents = run_in_files(tmp_path)
    first = next(n for n, (name, _) in enumerate(documents) if name == "stream_datum")
    documents = [
        *documents[:first],
        *documents[first + 2 : first + 8],
        *documents[first : first + 2],
        *documents[first + 8 :],
    ]
    alone = derived_of(documents, darkened)
    assert alone.of("stop")[0]["frames"]["reasons"] == {"no dark": 3}
    assert_same(derived_of(documents, darkened, workers=2), alone)
    assert sum(blocks) == 2


def test_what_was_reduced_with_another_dark_is_reduced_again(darkened, hdf5_run, blocks, monkeypatch, reduced):  # noqa: F811
    """As if the file of the darks had changed between the two times that they are read."""
    see = DarksAhead.see

    def mistaken(self, message):
        see(self, message)
        for uid, found in self._in_force.items():
            others = {key: replace(dark, image=dark.image + 1, digest="another") for key, dark in found.darks.items()}
            self._in_force[uid] = replace(found, darks=others)

    alone = derived_of(hdf5_run, darkened)
    monkeypatch.setattr(DarksAhead, "see", mistaken)
    reduced.clear()
    assert_same(derived_of(hdf5_run, darkened, workers=2), alone)
    assert (sum(blocks), len(reduced)) == (5, 11)


def test_workers_reduce_what_is_not_taken_over(darkened, hdf5_run, blocks, reduced, tmp_path):  # noqa: F811
    first = derived_of(hdf5_run, darkened)
    assert_same(derived_of(hdf5_run, darkened, resume=first, workers=2), first)
    assert blocks == []
    write_hdf5(tmp_path / "darks.h5", [dark_image(0), dark_image(4)])
    settle()
    again = derived_of(hdf5_run, darkened, resume=first, workers=2)
    assert blocks == [3]
    assert_same(again, derived_of(hdf5_run, darkened))


def test_only_the_first_frame_is_computed_again(darkened, hdf5_run, reduced):
    first = derived_of(hdf5_run, darkened)
    reduced.clear()
    assert_same(derived_of(hdf5_run, darkened, resume=first), first)
    assert len(reduced) == 1


def test_frames_whose_dark_is_another_now_are_computed_again(darkened, hdf5_run, reduced, tmp_path):
    first = derived_of(hdf5_run, darkened)
    write_hdf5(tmp_path / "darks.h5", [dark_image(0), dark_image(4)])
    settle()
    reduced.clear()
    again = derived_of(hdf5_run, darkened, resume=first)
    assert [int(name.rpartition(":")[2]) for name in reduced] == [0, 3, 4, 5]
    assert_same(again, derived_of(hdf5_run, darkened))


def test_of_another_way_to_tell_darks_nothing_is_taken_over(darkened, hdf5_run, reduced, caplog):
    first = derived_of(hdf5_run, {**darkened, "dark": {**STREAM, "optional": True}})
    reduced.clear()
    derived_of(hdf5_run, darkened, resume=first)
    assert len(reduced) == 6
    assert "computed with another configuration" in caplog.text

"""Geometries told by the baseline of a run, reduced again: from documents, by workers, resumed, and out of stores."""

from __future__ import annotations

import pytest
from bluesky_tiled_plugins import TiledWriter
from databroker import temp
from derived_documents import assert_same, derived_of
from documents.conftest import image
from documents.stream_runs import settle, uri_of, write_hdf5
from documents.test_baseline import BaselineRun
from live_runs import assert_same_numbers, live_of
from test_reduced_ahead import blocks  # noqa: F401  (a fixture)
from tiled_servers import tiled_server_here

from bluesky_diffractogram import replay

pytestmark = pytest.mark.xdist_group("stores")  # one server


@pytest.fixture
def moving(cfg):
    return {**cfg, "geometry": {"distance": "z", "energy": "e"}}


def run_in_a_file(folder):
    write_hdf5(folder / "frames.h5", [image(n) for n in range(6)])
    settle()
    run = BaselineRun(uri=uri_of(folder / "frames.h5"))
    documents = [*run.begin(), run.read(120.0), *(doc for n in range(3) for doc in run.in_file(n)), run.read(130.0)]
    documents += [doc for n in range(3, 6) for doc in run.in_file(n)]
    return [*documents, run.read(150.0), run.stop()]


def in_memory():
    run = BaselineRun()
    return [*run.begin(), run.read(120.0), run.frame(0), run.read(130.0), run.frame(1), run.read(150.0), run.stop()]


def distances(derived):
    return [doc["data"]["geometry_distance"] for doc in derived.of("event")]


def test_from_documents_by_workers_and_resumed(moving, tmp_path, blocks, reduced):  # noqa: F811
    documents = run_in_a_file(tmp_path)
    live = live_of(moving, documents)
    again = derived_of(documents, moving)
    assert_same(again, live.derived)
    assert distances(again) == [0.12] * 3 + [0.13] * 3
    assert_same(derived_of(again, raw=documents), again)
    assert_same(derived_of(documents, moving, workers=2), again)
    assert blocks == [5]
    reduced.clear()
    assert_same(derived_of(documents, moving, resume=again), again)
    assert len(reduced) == 1
    other = [
        (name, {**doc, "data": {"z": 125.0}}) if name == "event" and doc["data"].get("z") == 130.0 else (name, doc)
        for name, doc in documents
    ]
    reduced.clear()
    assert distances(derived_of(other, {**moving, "peaks": False})) == [0.12] * 3 + [0.125] * 3
    assert distances(derived_of(other, moving, resume=again)) == [0.12] * 3 + [0.125] * 3
    assert len(reduced) == 6 + 4


def test_databroker(moving):
    live = live_of(moving, in_memory())
    broker = temp().v1
    for name, doc in live.raw:
        broker.insert(name, doc)
    for run in (broker[live.uid], broker.v2[live.uid]):
        found = replay(run, moving).to_xarray()
        assert_same_numbers(found, live)
        assert found["geometry_distance"].values.tolist() == [0.12, 0.13]


@pytest.mark.parametrize("kind", ["arrays", "hdf5"])
def test_tiled(moving, tmp_path, kind):
    folder = tmp_path / "detector"
    folder.mkdir()
    live = live_of(moving, in_memory() if kind == "arrays" else run_in_a_file(folder))
    from tiled.client import from_uri

    with tiled_server_here(tmp_path / "server", readable_storage=str(folder)) as server:
        client = from_uri(server.uri)
        writer = TiledWriter(client)
        for name, doc in live.raw:
            writer(name, doc)
        found = replay(client[live.uid], moving).to_xarray()
    assert_same_numbers(found, live)
    half = len(live.events) // 2
    assert found["geometry_distance"].values.tolist() == [0.12] * half + [0.13] * half

"""A tiled server as beamlines have one: a process of its own, that wants a key."""

from __future__ import annotations

import json
import logging

import bluesky.plans as bp
import numpy as np
import pytest
import xarray
from bluesky import RunEngine
from bluesky_tiled_plugins import TiledWriter
from documents.conftest import Collected
from live_runs import Live, assert_same_numbers
from tiled.client import from_uri
from tiled.queries import Key
from tiled_servers import tiled_server

from bluesky_diffractogram import DiffractogramCallback, ReplayError, replay
from bluesky_diffractogram.replay.read_derived import read_derived
from bluesky_diffractogram.replay.tiled_run import documents_of_tiled_run
from bluesky_diffractogram.sim.beamline import simulated_beamline

pytestmark = pytest.mark.xdist_group("tiled server")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with tiled_server(tmp_path_factory.mktemp("tiled")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    return from_uri(server.uri, api_key=server.key)


@pytest.fixture(scope="module")
def beamline(tmp_path_factory):
    return simulated_beamline(tmp_path_factory.mktemp("beamline"), detector="small")


@pytest.fixture(scope="module")
def scans(client, beamline):
    """Four scans, written to the server with their derived runs while they were taken."""
    engine, taken = RunEngine({}), []
    engine.waiting_hook = None
    engine.subscribe(TiledWriter(client, max_array_size=0))
    with DiffractogramCallback(beamline.configuration, plot=False) as diff:
        raw, derived = Collected(), Collected()
        diff.subscribe(derived)
        diff.subscribe(TiledWriter(client, max_array_size=0), own_thread=True)
        engine.subscribe(raw)
        engine.subscribe(diff)
        for plan in (
            bp.scan([beamline.detector], beamline.furnace, 300, 600, 4),
            bp.count([beamline.detector], 2),
            bp.count([beamline.detector], 1),
            bp.scan([beamline.detector], beamline.furnace, 300, 500, 3, md={"scan_id": 2}),
        ):
            engine(plan)
            assert diff.wait(60)
            taken.append(Live([*raw], [*derived]))
            raw.clear()
            derived.clear()
    return taken


def test_a_scan_that_was_written_while_it_was_taken(server, scans, beamline):
    live = scans[0]
    client = from_uri(server.uri, api_key=server.key)
    found = replay(client[live.uid], beamline.configuration).to_xarray()
    assert_same_numbers(found, live)
    assert found["furnace"].values.tolist() == [300, 400, 500, 600]


def test_its_derived_run_is_read_back_and_computed_again(client, scans):
    live = scans[0]
    derived = client[live.derived[0][1]["uid"]]
    expected = {key: np.array([data[key] for data in live.events]) for key in ("diff_1", "peaks_2", "n_peaks_1")}
    for key, values in expected.items():
        stored = derived["diffractogram"][key].read()
        assert (stored.dtype, stored.shape) == (values.dtype, values.shape)
        np.testing.assert_array_equal(stored, values)
    assert_same_numbers(replay(derived, raw=client).to_xarray(), live)
    assert_same_numbers(read_derived(derived), live)


def test_what_a_run_consists_of_takes_one_request_for_all_of_it(client, scans, server):
    """Its arrays are not asked for one by one."""
    live = scans[0]
    uid = live.derived[0][1]["uid"]
    run = client[uid]
    before = server.log.read_text()
    documents = Collected(documents_of_tiled_run(run, arrays=False))
    requests = server.log.read_text().removeprefix(before)
    assert len(documents.of("event")) == 4
    assert f"/search/{uid}/diffractogram?" in requests
    assert "/diffractogram/diff_1" not in requests


def test_what_is_replayed_is_stored_in_the_same_server(client, scans, beamline):
    live = scans[0]
    again, kept = replay(client[live.uid], beamline.configuration), Collected()
    again.store(TiledWriter(client, max_array_size=0), kept)
    stored = client[kept[0][1]["uid"]]
    assert stored.metadata["start"]["raw_uid"] == live.uid
    xarray.testing.assert_identical(read_derived(stored), read_derived(kept))
    assert_same_numbers(replay(stored, raw=client).to_xarray(), live)


def test_a_query_replays_what_it_finds(client, scans, beamline):
    found = client.search(Key("start.plan_name") == "count").search(Key("start.num_points") == 2)
    again = replay(found, beamline.configuration)
    assert_same_numbers(again.to_xarray(), scans[1])
    both = replay(client.search(Key("start.plan_name") == "count"), beamline.configuration)
    assert set(both.to_xarrays()) == {(scans[n].uid, "diffractogram") for n in (1, 2)}
    assert both.failures == {}


def test_all_runs_of_the_server(client, scans, beamline):
    again = replay(client, beamline.configuration)
    assert {uid for uid, _ in again.to_xarrays()} == {live.uid for live in scans}
    assert again.failures == {}


@pytest.mark.parametrize(
    ("name", "n"), [("uid", 0), ("how the uid begins", 0), (1, 0), (3, 2), (2, 3)], ids=str
)  # the second scan's id was given to the last one again
def test_runs_are_called_by_uid_and_scan_id(client, scans, beamline, name, n):
    called = {"uid": scans[n].uid, "how the uid begins": scans[n].uid[:8]}.get(name, name)
    found = replay([called], beamline.configuration, catalog=client)
    assert_same_numbers(found.to_xarray(run=scans[n].uid), scans[n])


def test_the_latest_run_is_called_minus_one(client, scans):
    expected = client.values().last()
    assert read_derived(-1, catalog=client).attrs["uid"] == expected.metadata["start"]["uid"]


@pytest.mark.parametrize("name", ["nobody", "", "%", 99, -1000])
def test_runs_that_are_not_there_are_failures_and_the_others_go_on(client, scans, beamline, name):
    again = replay([name, scans[1].uid], beamline.configuration, catalog=client)
    assert_same_numbers(again.to_xarray(), scans[1])
    assert len(again.failures) == 1


def test_without_the_key_nothing_is_read(server, scans, beamline, monkeypatch):
    """The server's own answers, as they come when a run is asked for."""
    monkeypatch.setattr("tiled.client.utils.TILED_RETRY_ATTEMPTS", 2)
    client = from_uri(server.uri, api_key=server.key)
    run = client[scans[0].uid]
    client.context.api_key = "no key of this server"
    with pytest.raises(ReplayError, match=r"cannot be read .*401"):
        list(replay(run, beamline.configuration))
    lost = replay([scans[0].uid], beamline.configuration, catalog=client)
    with pytest.raises(ReplayError, match=r"is not in the catalogue .*401"):
        list(lost)


def test_the_key_is_in_no_document_and_no_log(server, scans, beamline, caplog):
    caplog.set_level(logging.INFO)
    client, kept = from_uri(server.uri, api_key=server.key), Collected()
    replay(client[scans[0].uid], beamline.configuration).store(kept)
    assert len(kept.of("event")) == 4
    assert f"GET {server.uri}/api/v1/metadata" in caplog.text
    assert server.key not in caplog.text
    assert server.key not in json.dumps([*kept, *scans[0].derived], default=str)
    assert server.key not in server.log.read_text()

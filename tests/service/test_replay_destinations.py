"""Where the replay command writes: folders of files, and a tiled server that wants a key."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray
from bluesky_tiled_plugins import TiledWriter
from click.testing import Result
from event_model import NumpyEncoder
from tiled.client import from_uri
from tiled.profiles import load_profiles
from tiled_servers import TiledServer, public_tiled_server, tiled_server

from bluesky_diffractogram import replay
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.replay.columns import to_chi, to_fxye
from bluesky_diffractogram.replay.read_derived import read_derived
from bluesky_diffractogram.service.spool import spool_folder
from bluesky_diffractogram.sim.beamline import SimulatedBeamline

Run = Callable[..., Result]
Documents = list[tuple[str, dict[str, Any]]]

pytestmark = pytest.mark.xdist_group("destinations")


def uid_of(run: Documents) -> str:
    return run[0][1]["uid"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, runs: list[Documents]) -> Iterator[TiledServer]:
    """One that has both runs, and wants its key for everything."""
    with tiled_server(tmp_path_factory.mktemp("tiled")) as server:
        store(from_uri(server.uri, api_key=server.key), runs)
        yield server


def store(client: Any, runs: list[Documents]) -> None:
    write = TiledWriter(client, max_array_size=0)
    for run in runs:
        for name, doc in run:
            write(name, doc)


@pytest.fixture
def jsonl(runs: list[Documents], tmp_path: Path) -> Path:
    """Both runs in a file."""
    path = tmp_path / "runs.jsonl"
    path.write_text("".join(json.dumps(pair, cls=NumpyEncoder) + "\n" for run in runs for pair in run))
    return path


@pytest.fixture
def with_key(server: TiledServer, monkeypatch: pytest.MonkeyPatch) -> TiledServer:
    monkeypatch.setenv("TILED_API_KEY", server.key)
    return server


# -- the server ---------------------------------------------------------------------------------------------------


def test_files_and_the_server_that_the_runs_are_in(
    run_command: Run, with_key: TiledServer, configuration_file: Path, runs: list[Documents], tmp_path: Path
) -> None:
    uid = uid_of(runs[0])
    options = ["--config", configuration_file, "--to", "tiled, nexus", "--to", "xy", "--output", tmp_path / "out"]
    result = run_command("replay", with_key.uri, uid, *options)
    assert result.exit_code == 0, result.output
    told = result.stdout.strip()
    assert told.startswith(f"run {uid}: ")
    assert "3 received, 3 reduced" in told
    folder = tmp_path / "out" / uid[:8]
    assert {path.suffix for path in folder.iterdir()} == {".nxs", ".xy", ".jsonl"}
    expected = replay(runs[0], configuration_file).to_xarray()
    with h5py.File(folder / "diffractogram.nxs") as file:
        np.testing.assert_array_equal(file["entry/range_1/I"][()], expected["diff_1"].values)
    place, derived = told.rpartition(", ")[0].rpartition(": ")[2], told.rpartition(", ")[2].partition(" in ")[0]
    assert place == str(folder)
    client = from_uri(with_key.uri, api_key=with_key.key)
    np.testing.assert_array_equal(client[derived]["diffractogram/diff_2"].read()[:, 1], expected["diff_2"].values)
    stored = read_derived(derived, catalog=client)
    # Tiled keeps no uids of events.
    xarray.testing.assert_equal(stored.drop_vars("raw_event"), expected.drop_vars("raw_event"))


def test_a_server_alone_gets_no_folder(
    run_command: Run,
    with_key: TiledServer,
    configuration_file: Path,
    jsonl: Path,
    runs: list[Documents],
    tmp_path: Path,
) -> None:
    """Here out of a file into a server, whose URI is given."""
    client = from_uri(with_key.uri, api_key=with_key.key)
    before = len(client)
    options = ["--config", configuration_file, "--to", with_key.uri, "--output", tmp_path / "out"]
    result = run_command("replay", jsonl, *options)
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "out").exists()
    assert len(client) == before + 2
    stored = [run.metadata["start"] for run in client.values()[before:]]
    assert [start["raw_uid"] for start in stored] == [uid_of(run) for run in runs]


@pytest.fixture
def into_tiled(
    beamline: SimulatedBeamline,
    with_key: TiledServer,
    jsonl: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> tuple[list[Any], Any]:
    """A command that stores into the server alone, with a configuration that no other test has, and a client."""
    configuration = {**beamline.configuration, "npt": 200 + len(request.node.name)}
    options = ["--tool-configuration", json.dumps(configuration), "--to", with_key.uri, "--output", tmp_path / "out"]
    return ["replay", jsonl, *options], from_uri(with_key.uri, api_key=with_key.key)


def test_what_is_in_the_server_is_neither_computed_nor_stored_again(
    run_command: Run, into_tiled: tuple[list[Any], Any], reduced: list[str]
) -> None:
    command, client = into_tiled
    before = len(client)
    assert run_command(*command).exit_code == 0
    assert len(reduced) == 5
    stored = [run.metadata["start"]["uid"] for run in client.values()[before:]]
    assert len(stored) == 2
    reduced.clear()
    result = run_command(*command)
    assert result.exit_code == 0, result.output
    assert reduced == []
    assert len(client) == before + 2
    assert "all 3 frames are there already" in result.stdout
    assert "all 2 frames are there already" in result.stdout
    folder = [*command[:-1], command[-1].with_name("another"), "--to", "jsonl"]  # of which nothing is there
    result = run_command(*folder)
    assert len(reduced) == 2  # the first of each run
    assert len(client) == before + 2
    assert "3 frames were taken over" in result.stdout
    for uid in stored:
        assert f"{uid} in " in result.stdout
    assert result.stdout.count("where it was already") == 2
    assert list(spool_folder().iterdir()) == []


def test_what_was_interrupted_on_its_way_to_the_server_is_gone_on_with(
    run_command: Run, into_tiled: tuple[list[Any], Any], reduced: list[str], monkeypatch: pytest.MonkeyPatch,
    runs: list[Documents], beamline: SimulatedBeamline,
) -> None:  # fmt: skip
    """Killed, as far as it can be seen here: of the third frame nothing is there, and nobody has tidied up."""
    command, client = into_tiled
    before, reduce = len(client), Reducer.reduce

    def killed(self: Reducer, frame: Any) -> Any:
        if len(reduced) == 2:
            raise KeyboardInterrupt
        return reduce(self, frame)

    with monkeypatch.context() as patch:
        patch.setattr(Reducer, "reduce", killed)
        assert run_command(*command).exit_code == 130
    assert len(client) == before  # nothing that is half there
    (spool,) = spool_folder().iterdir()
    spool.write_bytes(spool.read_bytes()[:-7])
    reduced.clear()
    result = run_command(*command)
    assert result.exit_code == 0, result.output
    assert "1 frames were taken over" not in result.stdout  # the second event is cut: the first is compared
    assert len(reduced) == 5
    assert len(client) == before + 2
    for run, derived in zip(runs, client.values()[before:], strict=True):
        expected = replay(run, json.loads(command[3])).to_xarray()
        np.testing.assert_array_equal(derived["diffractogram/diff_1"].read()[:, 1], expected["diff_1"].values)
    assert list(spool_folder().iterdir()) == []


def test_a_derived_run_in_the_server_without_its_end_is_gone_on_with(
    run_command: Run, into_tiled: tuple[list[Any], Any], reduced: list[str], runs: list[Documents], jsonl: Path
) -> None:
    """As somebody's own writer leaves it that stores each event at once."""
    command, client = into_tiled
    write = TiledWriter(client, max_array_size=0, batch_size=1)
    stored = [json.loads(line) for line in jsonl.read_text().splitlines()]
    derived = list(replay([(name, doc) for name, doc in stored[: len(runs[0])]], json.loads(command[3])))
    for name, doc in derived[:4]:  # start, descriptor, two events
        write(name, doc)
    before = len(client)
    reduced.clear()
    result = run_command(*command)
    assert result.exit_code == 0, result.output
    assert "1 frames were taken over" in result.stdout
    assert len(reduced) == 4
    assert len(client) == before + 2


def test_runs_by_scan_id_and_by_how_a_uid_begins(
    run_command: Run, with_key: TiledServer, configuration_file: Path, runs: list[Documents], tmp_path: Path
) -> None:
    options = ["--config", configuration_file, "--to", "jsonl", "--output", tmp_path / "out"]
    result = run_command("replay", with_key.uri, "1", uid_of(runs[1])[:8], *options)
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {uid_of(run)[:8] for run in runs}


@pytest.fixture
def profile(with_key: TiledServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a tiled profile, which a catalogue of databroker 2 is, too."""
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "mine.yml").write_text(json.dumps({"my_beamline": {"uri": with_key.uri}}))
    monkeypatch.setattr("tiled.profiles.paths", [folder])
    load_profiles.cache_clear()
    yield "my_beamline"
    load_profiles.cache_clear()


def test_a_profile_names_catalogue_and_destination(
    run_command: Run, profile: str, server: TiledServer, configuration_file: Path, runs: list[Documents], tmp_path: Path
) -> None:
    client = from_uri(server.uri, api_key=server.key)
    before = len(client)
    options = ["--config", configuration_file, "--to", f"tiled:{profile}", "--output", tmp_path / "out"]
    result = run_command("replay", profile, uid_of(runs[1]), *options)
    assert result.exit_code == 0, result.output
    assert client.values()[before].metadata["start"]["raw_uid"] == uid_of(runs[1])
    assert f"in {profile}" in result.stdout
    missing = run_command("replay", f"{profile}/nowhere", "1", *options)
    assert missing.exit_code == 2
    assert f"{profile}/nowhere cannot be opened (KeyError" in missing.stderr
    wrong = run_command("replay", "my_beamlin", "1", *options)
    assert "no file, no URI, and no tiled profile (those: my_beamline)" in wrong.stderr


# -- its key ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "abcd", "not-this-one"])
@pytest.mark.parametrize("where", ["environment", "uri"])
@pytest.mark.parametrize("which", ["source", "destination"])
def test_without_the_right_key_it_is_said_what_to_do(
    run_command: Run, server: TiledServer, configuration_file: Path, jsonl: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, key: str | None, where: str, which: str,
) -> None:  # fmt: skip
    uri = server.uri
    if key is not None and where == "environment":
        monkeypatch.setenv("TILED_API_KEY", key)
    elif key is not None:
        uri += f"?api_key={key}"
    runs = [uri] if which == "source" else [jsonl, "--to", uri]
    result = run_command("replay", *runs, "--config", configuration_file, "--output", tmp_path / "out")
    assert result.exit_code == 2, result.output
    told = " ".join(result.stderr.split())
    if key is None:
        assert (
            f"{uri} cannot be opened (the server wants a key: give it in the environment variable TILED_API_KEY" in told
        )
    else:
        place = "TILED_API_KEY" if where == "environment" else "the URI"
        assert f"{server.uri} cannot be opened (the server does not accept the key in {place})" in told
        assert key not in result.output
    assert not (tmp_path / "out").exists()


def test_a_key_in_the_uri_is_shown_nowhere(
    run_command: Run, server: TiledServer, configuration_file: Path, runs: list[Documents], tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO)
    out = tmp_path / "out"
    uri = f"{server.uri}?api_key={server.key}"
    options = ["--config", configuration_file, "--to", "tiled,jsonl,nexus", "--output", out]
    result = run_command("replay", uri, uid_of(runs[1]), "nobody", *options)
    assert result.exit_code == 1
    assert "'nobody' is not in the catalogue" in result.stderr
    assert "2 received, 2 reduced" in result.stdout
    assert f"GET {server.uri}" in caplog.text
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) == 2
    everything = [result.output.encode(), caplog.text.encode(), server.log.read_bytes(), *map(Path.read_bytes, files)]
    assert not any(server.key.encode() in each for each in everything)


def test_a_server_that_lets_nobody_write(
    run_command: Run, configuration_file: Path, runs: list[Documents], jsonl: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It may be read without a key; what was reduced goes into the folder nevertheless."""
    monkeypatch.setattr("tiled.client.utils.TILED_RETRY_ATTEMPTS", 2)
    out = tmp_path / "out"
    with public_tiled_server(tmp_path / "public") as public:
        options = [
            "--config",
            configuration_file,
            "--to",
            f"jsonl,tiled:{public}",
            "--to",
            public,
            "--output",
            out,
        ]
        result = run_command("replay", jsonl, *options)
    assert result.exit_code == 1, result.output
    for run in runs:
        assert f"the derived run of raw run {uid_of(run)} cannot be stored in {public} (" in result.stderr
        assert (out / uid_of(run)[:8] / "derived.jsonl").exists()
    assert " in http" not in result.stdout


# -- files --------------------------------------------------------------------------------------------------------


def test_columns_for_other_programs(
    run_command: Run, configuration_file: Path, runs: list[Documents], jsonl: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ["--config", configuration_file, "--to", "chi,fxye", "--output", out]
    assert run_command("replay", jsonl, *options).exit_code == 0
    for run in runs:
        dataset = replay(run, configuration_file).to_xarray()
        expected = [*to_chi(dataset, tmp_path / "expected"), *to_fxye(dataset, tmp_path / "expected")]
        folder = out / uid_of(run)[:8]
        assert {path.name for path in folder.iterdir()} == {path.name for path in expected} | {"derived.jsonl"}
        for path in expected:
            assert (folder / path.name).read_bytes() == path.read_bytes()


def test_a_format_that_cannot_hold_the_axis_is_an_error_and_the_others_are_written(
    run_command: Run, beamline: SimulatedBeamline, runs: list[Documents], jsonl: Path, tmp_path: Path
) -> None:
    configuration = json.dumps({**beamline.configuration, "diff_units": "r [mm]"})
    options = ["--tool-configuration", configuration, "--to", "fxye,xy", "--output", tmp_path / "out"]
    result = run_command("replay", jsonl, *options)
    assert result.exit_code == 1
    assert result.stderr.count("no .fxye files can be written") == 2
    written = list((tmp_path / "out").rglob("*_range*"))
    assert {path.suffix for path in written} == {".xy"}
    assert len(written) == 10


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("csv", "--to csv: expected some of xy, chi, fxye, nexus, jsonl, png, tiled, tiled:PROFILE, or the URI"),
        ("xy,nexsu", "--to nexsu: expected some of"),
        ("tiled", "--to tiled: the runs are in no catalogue of tiled; give the URI of a server"),
        ("tiled:no_such_profile", "no_such_profile is no file, no URI, and no tiled profile"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9 cannot be opened"),
    ],
)
def test_bad_destinations_end_with_code_2_before_anything_is_reduced(
    run_command: Run, configuration_file: Path, jsonl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    to: str, message: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("tiled.client.utils.TILED_RETRY_ATTEMPTS", 1)
    result = run_command("replay", jsonl, "--config", configuration_file, "--to", to, "--output", tmp_path / "out")
    assert result.exit_code == 2
    told = " ".join(result.stderr.replace("│", " ").split())
    assert message in told
    assert not (tmp_path / "out").exists()

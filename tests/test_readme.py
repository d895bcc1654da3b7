"""The README's code runs, and its tables say what the code says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from event_model import compose_run

from bluesky_diffractogram import DiffractogramCallback
from bluesky_diffractogram.config import PeaksConfig, StatisticConfig, load_config
from bluesky_diffractogram.config.model import DiffractogramConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.M | re.S)


def documents_of_a_scan(beamline):
    from bluesky import RunEngine

    from bluesky_diffractogram.sim.scan import heating_scan

    documents, engine = [], RunEngine({})
    engine(heating_scan(beamline.detector, beamline.furnace, 300, 400, 3), lambda *document: documents.append(document))
    return documents


def test_the_python_of_the_readme_runs_as_a_session(tmp_path, monkeypatch):
    """All blocks in one namespace, with a scan where a reader would make one: after the subscriptions."""
    import matplotlib

    matplotlib.use("Agg")
    from bluesky.callbacks.zmq import Publisher

    from bluesky_diffractogram.sim.beamline import simulated_beamline
    from bluesky_diffractogram.sim.scan import heating_scan

    published, publishers = [], set()

    def publish(self, name, doc):
        publishers.add(self)
        published.append(self._serializer(doc))

    monkeypatch.setattr(Publisher, "__call__", publish)
    monkeypatch.chdir(tmp_path)
    beamline = simulated_beamline(tmp_path, detector="small")
    shutil.copy(beamline.calibration, "lab6.poni")
    session: dict = {}
    for block in blocks("python"):
        if "analysed[-1]" in block:
            scan = heating_scan(beamline.detector, beamline.furnace, 300, 400, 5)
            session["RE"](scan)
            assert session["diff"].wait(60)
        if "replay(documents" in block:
            session["documents"] = documents_of_a_scan(beamline)
        exec(compile(block, "README.md", "exec"), session)
    assert {"uid", "time"} <= set(session["unpack"](published[0]))
    for each in publishers:  # else it would wait for ever, when it is collected, to be rid of what nobody takes
        each._socket.close(linger=0)
        each._context.destroy(linger=0)
    assert session["dataset"].sizes["furnace"] == 3
    assert Path("scan.nxs").stat().st_size > 0
    assert len(list(Path("curves").glob("*.xy"))) == 3
    assert len(session["diff"].buffers[0]) == 5
    frames = session["analysed"][-1].stop["frames"]
    printed = json.loads(re.search(r"^# (\{'received'.*\})$", README, flags=re.M)[1].replace("'", '"'))
    assert set(frames) == set(printed)
    assert frames["reduced"] == 5
    session["diff"].close()


def test_the_readmes_commands_exist(tmp_path, monkeypatch):
    """`pip` and `pytest` are what runs this; every other command runs here."""
    from typer.main import get_command
    from typer.testing import CliRunner

    from bluesky_diffractogram.service.cli import app
    from bluesky_diffractogram.sim.beamline import simulated_beamline

    monkeypatch.chdir(tmp_path)
    beamline = simulated_beamline(tmp_path, detector="small")
    (tmp_path / "config.json").write_text(json.dumps(beamline.configuration))
    import tifffile

    beamline.detector.trigger()
    tifffile.imwrite(tmp_path / "frame.tif", beamline.detector.image.get())
    from bluesky_diffractogram.service.jsonlines import JsonLines

    raw = JsonLines(tmp_path / "scans.jsonl")
    for document in documents_of_a_scan(beamline):
        raw(*document)
    raw.close()
    lines = [line.partition("#")[0] for block in blocks("bash") for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines if line.strip()]
    assert ["pytest"] in commands
    assert ["bluesky-diffractogram", "demo"] in commands
    tried = parsed = 0
    for command in commands:
        if command[0] != "bluesky-diffractogram" or command[1] == "demo":  # demo has tests of its own
            continue
        arguments = [
            str(path) for word in command[1:] for path in (sorted(tmp_path.glob(word)) if "*" in word else [word])
        ]
        if arguments[0] in ("serve", "control") or arguments[1].startswith("http"):  # which want others to be there
            get_command(app).commands[arguments[0]].make_context(arguments[0], arguments[1:])
            parsed += 1
            continue
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        tried += 1
    assert (tried, parsed) == (3, 4)


def test_ci_runs_the_readmes_test_command():
    script = (ROOT / ".ci" / "run").read_text()
    assert "pip install --quiet '.[dev]'" in script
    assert re.search(r"^pytest$", script, flags=re.M)


def rows(heading):
    """``{key: default}`` of the table under a line."""
    table = README.split(heading, 1)[1].lstrip().split("\n\n")[0]
    found = {}
    for line in table.splitlines()[2:]:
        names, default = (cell.strip() for cell in line.strip("|").split("|")[:2])
        keys = re.findall(r"`([^`]+)`", names)
        defaults = re.findall(r"`([^`]+)`", default) or [default]
        for i, key in enumerate(keys):
            found[key] = defaults[min(i, len(defaults) - 1)]
    return found


def test_the_configuration_tables_have_every_key_with_its_default():
    tables = rows("lavue's keys:") | rows("\nOurs:\n")
    fields = DiffractogramConfig.model_fields
    assert set(tables) == set(fields)
    for key, written in tables.items():
        if key in ("calibration", "diff_number"):
            continue
        default = fields[key].default
        if isinstance(default, PeaksConfig):
            assert written == "{}"
        elif isinstance(default, StatisticConfig):
            assert StatisticConfig(method=json.loads(written)) == default
        else:
            assert json.loads(written) == (list(default) if isinstance(default, tuple) else default), key


def test_the_peak_settings_in_the_table_are_the_defaults(tmp_path):
    written = json.loads(re.search(r'`(\{"method": "default".*?\})`', README)[1])
    assert PeaksConfig(**written) == PeaksConfig()
    assert set(written) == set(PeaksConfig.model_fields)


def test_the_derived_runs_table_has_every_data_key(tmp_path):
    from ponis import write_poni

    from bluesky_diffractogram.documents.derived_keys import data_keys
    from bluesky_diffractogram.reduction.opened_detectors import open_detectors
    from bluesky_diffractogram.reduction.opening import open_geometry
    from bluesky_diffractogram.reduction.reducer import Reducer

    poni = str(write_poni(tmp_path / "x.poni"))
    config = load_config(
        {
            "calibration": poni,
            "error_model": "poisson",
            "count": True,
            "cake": True,
            "dark": {"stream": "dark"},
            "geometry": {"poni": "poni", "energy": "energy"},
        }
    )
    further = {"image_key": "KEY", "calibration": poni, "optional": True, "geometry": {"distance": "z"}}
    merged = load_config({"calibration": poni, "image_key": "x", "dark": {"stream": "dark"}, "merge": [further]})
    geometry, keys = open_geometry(config), set()
    for each in (config, merged):
        keys |= data_keys(Reducer(each, geometry, (240, 260), others=open_detectors(each, geometry)), {}).keys()
    table = README.split("## The derived run", 1)[1].split("## How it compares")[0]
    written = {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert {re.sub(r"_1(?=_|$)", "_i", key) for key in keys} == written


def wants():
    """What is added to the configuration, and which data keys that makes."""
    table = README.split("### What you may want", 1)[1].split("\n### ")[0]
    lines = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ") and '"' in line]
    return [
        (json.loads("{" + added.strip().strip("`") + "}"), re.findall(r"`(\w+)`", keys)) for _, added, keys in lines
    ]


def scan_with_everything():
    """Two detectors, one of which moves, a monitor, darks in a stream of theirs, and a shutter."""
    run, rng = compose_run(), np.random.default_rng(1)
    image = {"source": "t", "dtype": "array", "shape": [120, 130]}
    number = {"source": "t", "dtype": "number", "shape": []}
    yield "start", run.start_doc
    dark = run.compose_descriptor(name="dark", data_keys={"det_image": image})
    keys = {"det_image": image, "det2_image": image, "i0": number, "det_z": number}
    primary = run.compose_descriptor(name="primary", data_keys={**keys, "shutter": {**number, "dtype": "string"}})
    yield "descriptor", dark.descriptor_doc
    yield "descriptor", primary.descriptor_doc
    data = {"det_image": rng.poisson(2, (120, 130)).astype(np.uint16)}
    yield "event", dark.compose_event(data=data, timestamps={"det_image": 0.0})
    for n in range(3):
        images = {name: rng.poisson(100, (120, 130)).astype(np.uint16) for name in ("det_image", "det2_image")}
        data = {**images, "i0": 2.0, "det_z": 100.0 + n, "shutter": "open" if n else "closed"}
        yield "event", primary.compose_event(data=data, timestamps=dict.fromkeys(data, 0.0))
    yield "stop", run.compose_stop()


@pytest.mark.parametrize(("added", "expected"), wants(), ids=lambda each: next(iter(each), ""))
def test_what_you_may_want_is_what_you_get(tmp_path, monkeypatch, added, expected):
    from ponis import write_poni

    monkeypatch.chdir(tmp_path)
    for name in ("lab6.poni", "det2.poni"):
        write_poni(tmp_path / name, shape=(120, 130), pixel=(6e-4, 5e-4))
    derived = []
    config = {"calibration": "lab6.poni", "image_key": "det_image", "npt": 300, **added}
    with DiffractogramCallback(config, plot=False, strict=True) as diff:
        diff.subscribe(lambda *document: derived.append(document))
        for document in scan_with_everything():
            diff(*document)
        assert diff.wait(60)
    events = [doc["data"] for name, doc in derived if name == "event"]
    stop = next(doc for name, doc in derived if name == "stop")
    closed = added.get("dark", {}).get("key") == "shutter"
    assert stop["frames"]["reduced"] == len(events) == (2 if closed else 3)
    for data in events:
        assert set(expected) <= set(data)
        assert np.isfinite(data["diff_1"][1]).mean() > 0.5


def test_the_picture_is_there():
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        if not (ROOT / path).exists():
            pytest.fail(f"{path} is missing")

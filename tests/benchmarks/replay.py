"""How fast a long run is replayed, serially and by worker processes: ``python tests/benchmarks/replay.py``.

A bitshuffle/LZ4 stack of 4 Mpx frames as an Eiger writes it, told of by StreamDatum documents, reduced over four
sectors with peaks searched. Everybody takes turns; the workers are warm, as those of a client are, and what starting
them takes is told apart. Prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import psutil
from event_model import compose_run
from integration import Case, is_bitshuffle_here, make, sectors
from rich.console import Console
from rich.table import Table

from bluesky_diffractogram import replay
from bluesky_diffractogram.reduction.disk_cache import wait_until_written
from bluesky_diffractogram.replay import workers

DATASET = "/entry/data/data"
DIFFERENT = 16


def write_stack(case: Case, path: Path, number: int) -> float:
    """A file of `number` frames, of which 16 differ; MB of each as it is stored."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        settings = {"chunks": (1, *case.frame.shape), **hdf5plugin.Bitshuffle(cname="lz4")}
        data = file.create_dataset(DATASET, (number, *case.frame.shape), case.frame.dtype, **settings)
        chunks = []
        for index in range(number):
            if index < DIFFERENT:
                shift = int(rng.integers(case.frame.shape[1]))
                data[index] = np.roll(case.frame, shift, axis=1)
                chunks.append(data.id.read_direct_chunk((index, 0, 0))[1])
            else:
                data.id.write_direct_chunk((index, 0, 0), chunks[index % DIFFERENT])
        return data.id.get_storage_size() / number / 1e6


def documents(path: Path, shape: tuple[int, ...], number: int) -> Iterator[tuple[str, dict]]:
    """A step scan over the stack, as ophyd-async tells of it."""
    run = compose_run(metadata={"plan_name": "scan", "num_points": number})
    yield "start", run.start_doc
    key = {"source": "s", "dtype": "array", "shape": [1, *shape], "external": "STREAM:", "object_name": "det"}
    descriptor = run.compose_descriptor(name="primary", data_keys={"det": key}, object_keys={"det": ["det"]}, hints={})
    uid = descriptor.descriptor_doc["uid"]
    yield "descriptor", descriptor.descriptor_doc
    resource = {
        "uid": f"{uid}/r", "run_start": run.start_doc["uid"], "data_key": "det", "mimetype": "application/x-hdf5",
        "uri": f"file://localhost{path}", "parameters": {"dataset": DATASET},
    }  # fmt: skip
    yield "stream_resource", resource
    for n in range(number):
        yield "stream_datum", {
            "uid": f"{uid}/{n}", "stream_resource": resource["uid"], "descriptor": uid,
            "indices": {"start": n, "stop": n + 1}, "seq_nums": {"start": n + 1, "stop": n + 2},
        }  # fmt: skip
        yield "event", descriptor.compose_event(data={}, timestamps={}, time=float(n), seq_num=n + 1, validate=False)
    yield "stop", run.compose_stop()


class Memory:
    """The most that this process and its children have had in memory meanwhile, in MB."""

    def __init__(self) -> None:
        self.here = self.workers = 0.0
        self._end = threading.Event()

    def __enter__(self) -> Memory:
        threading.Thread(target=self._look, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()

    def _look(self) -> None:
        me = psutil.Process()
        while not self._end.wait(0.1):
            self.here = max(self.here, me.memory_info().rss / 1e6)
            for child in me.children():
                try:
                    self.workers = max(self.workers, child.memory_info().rss / 1e6)
                except psutil.Error:
                    continue


def processor_seconds() -> tuple[float, float]:
    """What this process has used, and its children."""
    children = 0.0
    for child in psutil.Process().children():
        try:
            children += sum(child.cpu_times()[:2])
        except psutil.Error:
            continue
    return time.process_time(), children


def timed(run: Callable[[], int]) -> tuple[int, float]:
    begin = time.perf_counter()
    return run(), time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", default="Eiger 4M")
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    console = Console(width=max(120, Console().width))
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    case = Case(options.detector, sectors(4), "4 sectors of 30°")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["BLUESKY_DIFFRACTOGRAM_CACHE"] = str(folder / "tables")
        make(case, folder)
        megabytes = write_stack(case, folder / "stack.h5", options.frames)
        config = {"calibration": str(case.poni), "diff_ranges": case.ranges, "npt": case.npt}
        raw = list(documents(folder / "stack.h5", case.frame.shape, options.frames))
        case.frame = np.zeros(0)

        def reduce(given: object) -> int:
            return sum(name == "event" for name, _ in replay(raw, config, workers=given))

        starting, pools, contestants = {}, {}, {"serial": lambda: reduce(None)}
        reduce(None)
        wait_until_written()
        for number in options.workers:
            begin = time.perf_counter()
            pools[number] = workers._start(number)
            client = pools[number][1]
            started = time.perf_counter() - begin
            _, first = timed(lambda client=client: sum(1 for _ in replay(raw[: 3 + 2 * 24], config, workers=client)))
            starting[number] = {"processes": started, "first 24 frames": first}
            contestants[f"{number} worker{'s' if number > 1 else ''}"] = lambda client=client: reduce(client)
        times: dict[str, list[float]] = {name: [] for name in contestants}
        processor: dict[str, list[list[float]]] = {name: [] for name in contestants}
        memory = {}
        load = os.getloadavg()[0]
        for _ in range(options.rounds):
            for name, run in contestants.items():
                before = processor_seconds()
                with Memory() as most:
                    frames, seconds = timed(run)
                used = [after - begin for begin, after in zip(before, processor_seconds(), strict=True)]
                processor[name].append([1e3 * each / options.frames for each in used])
                if frames != options.frames:
                    raise SystemExit(f"{name}: {frames} of {options.frames} frames were reduced")
                times[name].append(seconds)
                memory[name] = {"replaying process": most.here, "largest worker": most.workers}
        for cluster, client in pools.values():
            client.close()
            cluster.close()
    rates = {name: [options.frames / seconds for seconds in each] for name, each in times.items()}
    median = {name: float(np.median(each)) for name, each in rates.items()}
    table = Table(title=f"{case.name}, {options.frames} frames of {megabytes:.1f} MB compressed", title_justify="left")
    for heading in (
        "",
        "frames per second",
        "least … most",
        "against serial",
        "CPU ms here",
        "… in workers",
        "MB here",
        "MB a worker",
    ):
        table.add_column(heading, justify="right" if heading else "left")
    for name, each in rates.items():
        here, worker = memory[name].values()
        table.add_row(
            name, f"{median[name]:.1f}", f"{min(each):.1f} … {max(each):.1f}", f"{median[name] / median['serial']:.2f}",
            *(f"{value:.1f}" for value in np.median(processor[name], axis=0)), f"{here:.0f}", f"{worker:.0f}",
        )  # fmt: skip
    console.print(table)
    for number, each in starting.items():
        console.print(f"{number} workers: " + ", ".join(f"{what} {seconds:.1f} s" for what, seconds in each.items()))
    report = {
        "python": sys.version.split()[0], "numpy": np.__version__, "machine": platform.machine(),
        "cores": os.cpu_count(), "load_before": load, "case": case.name, "frames": options.frames,
        "megabytes_compressed": megabytes, "decoder": "bitshuffle" if is_bitshuffle_here() else "h5py",
        "frames_per_second": {name: {"median": median[name], "rounds": each} for name, each in rates.items()},
        "against_serial": {name: rate / median["serial"] for name, rate in median.items()},
        "processor_ms_a_frame": {name: dict(zip(("here", "workers"), np.median(each, axis=0), strict=True))
                                 for name, each in processor.items()},
        "starting_seconds": starting, "memory_mb": memory,
    }  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
        console.print(f"written to {options.json}")


if __name__ == "__main__":
    main()

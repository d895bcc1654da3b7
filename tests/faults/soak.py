"""Many frames, and what they leave behind: ``python tests/faults/soak.py --frames 100000``.

A callback with its window gets runs of images in events and in files; meanwhile its resident memory, open files,
threads, figures and all that it keeps of runs and files are counted. Prints JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import matplotlib as mpl  # noqa: E402

mpl.use("Agg")

from documents.conftest import raw_run  # noqa: E402
from documents.stream_runs import StreamRun, uri_of, write_hdf5  # noqa: E402
from documents.test_streams import area_detector_run  # noqa: E402
from ponis import write_poni  # noqa: E402

from bluesky_diffractogram import DiffractogramCallback  # noqa: E402

SIZES = {"small": ((60, 80), (6e-4, 5e-4)), "4 Mpx": ((2167, 2070), (7.5e-5, 7.5e-5))}
BUFFER_ROWS = 200


def runs(folder: Path, size: str, number: int):
    """Raw runs without end: of images in events, in files of streams, and in files of datums, in turn."""
    shape, _ = SIZES[size]
    frames = np.random.default_rng(1).poisson(60, (number, *shape)).astype("u2")
    write_hdf5(folder / "frames.h5", frames)
    while True:
        yield raw_run(list(frames))
        yield StreamRun(uri_of(folder / "frames.h5"), shape=[1, *shape]).step_scan(number)
        yield area_detector_run(folder, "AD_HDF5", {}, number)


def kept(diff) -> dict[str, int]:
    """How much the callback has of what belongs to runs."""
    pipeline, intake = diff._pipeline, diff._arrivals.intake
    datums = pipeline._assets._datums
    return {
        "runs": len(pipeline._runs) + len(intake._runs) + len(intake._run_of_descriptor),
        "datums": len(datums._datums) + len(datums._resources) + len(datums._descriptors),
        "readers": len(pipeline._assets._open) + len(datums._handlers),
        "reducers": len(pipeline._reducers._built),
    }


def look(process: psutil.Process, diff, done: int) -> dict[str, float]:
    import matplotlib.pyplot as plt

    return {
        "frames": done, "resident MB": process.memory_info().rss / 2**20, "open files": process.num_fds(),
        "threads": process.num_threads(), "figures": len(plt.get_fignums()), **kept(diff),
    }  # fmt: skip


def slope_per_1000(looks: list[dict[str, float]], key: str) -> float:
    """Least squares over the looks after the first third, in which buffers and caches fill."""
    later = looks[len(looks) // 3 :]
    frames = np.array([each["frames"] for each in later], float) / 1000
    return float(np.polyfit(frames, [each[key] for each in later], 1)[0])


def soak(frames: int, size: str = "small", points: int = 50, looks_at: int = 40) -> dict:
    """Reduce so many frames in runs of so many points; gives slopes, and what there was at the end."""
    shape, pixel = SIZES[size]
    process = psutil.Process()
    tallies = {"received": 0, "reduced": 0}

    def count(name, doc):
        if name == "stop":
            for key in tallies:
                tallies[key] += doc["frames"][key]

    with tempfile.TemporaryDirectory() as name:
        poni = write_poni(Path(name) / "soak.poni", shape=shape, pixel=pixel)
        config = {
            "calibration": str(poni), "diff_ranges": [[10, 100, 2, 14], [150, 210, 2, 12]], "diff_units": "2th [deg]",
            "npt": 200, "buffer_size": BUFFER_ROWS,
        }  # fmt: skip
        # On a busy machine a frame may wait long for room, and is not to be dropped.
        diff = DiffractogramCallback(config, plot=True, block_timeout=120.0)
        diff.subscribe(count)
        looks, done, due, began = [], 0, 0, time.monotonic()
        for run in runs(Path(name), size, points):
            for document in run:
                diff(*document)
            done += points
            if done >= due:
                assert diff.wait(300)
                diff.figure.draw()
                gc.collect()
                looks.append(look(process, diff, done))
                due += frames / looks_at
            if done >= frames:
                break
        assert diff.wait(300)
        seconds = time.monotonic() - began
        tables = sum(each.prepared.table.nbytes for each in diff._pipeline._reducers._built.values()) / 2**20
        assert not diff.errors, diff.errors
        diff.close()
    assert tallies["received"] == tallies["reduced"] == done, tallies
    frame_mb = shape[0] * shape[1] * 2 / 2**20
    first = looks[len(looks) // 3]
    resident = [each["resident MB"] for each in looks]
    return {
        "frames": done, "size": size, "runs": done // points, "frames per second": done / seconds,
        "resident MB": [round(first["resident MB"], 1), round(looks[-1]["resident MB"], 1)],
        "MB per 1000 frames": slope_per_1000(looks, "resident MB"),
        "growth": {key: looks[-1][key] - first[key] for key in looks[0] if key not in ("frames", "resident MB")},
        "at the end": {key: looks[-1][key] for key in looks[0] if key not in ("frames", "resident MB")},
        # From the first look on, when all that is there once is there: imports, loops, the window.
        "grown MB": max(resident) - resident[0],
        "known ceiling, MB": {
            "queue": 16 * frame_mb, "buffers": 2 * BUFFER_ROWS * 200 * 8 / 2**20, "tables": tables,
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--points", type=int, default=50, help="in a run")
    options = parser.parse_args()
    logging.getLogger("bluesky_diffractogram").setLevel(logging.ERROR)
    os.environ.setdefault("BLUESKY_DIFFRACTOGRAM_CACHE", tempfile.mkdtemp())
    print(json.dumps(soak(options.frames, options.size, options.points), indent=1))


if __name__ == "__main__":
    main()

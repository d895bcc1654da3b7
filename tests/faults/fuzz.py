"""Coverage-guided fuzzing of configurations and calibrations: ``python tests/faults/fuzz.py calibration --seconds 60``.

Wants atheris (``pip install atheris``; Linux). Every input is refused with an error of ours, or usable; the first that
is neither ends the program, is shown, and is kept in ``--corpus``. Prints how many inputs were tried.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import atheris  # noqa: E402

# What numba compiles is not to be instrumented: it is imported before.
from bluesky_diffractogram.reduction import geometry_kernel, kernel  # noqa: E402, F401

INSTRUMENTED = ["bluesky_diffractogram", "pyFAI.io.ponifile", "pyFAI.io.integration_config", "yaml"]
with atheris.instrument_imports(include=INSTRUMENTED), contextlib.redirect_stderr(io.StringIO()):
    import yaml
    from fault_tools import small_poni
    from test_hostile_calibrations import TEXTS
    from test_hostile_calibrations import usable_or_refused as calibration_is_usable
    from test_hostile_configurations import usable_or_refused as configuration_is_usable

TRIED = "tried.json"


def seeds(what: str, poni: Path) -> list[bytes]:
    """Good files to begin with."""
    if what == "calibration":
        return [text.encode() for text in TEXTS.values()]
    settings = {
        "calibration": str(poni), "npt": 30, "diff_ranges": [[10, 20, 2, 10], None], "diff_units": "2th [deg]",
        "peaks": {"method": "lavue"}, "colors": [[255, 0, 0], "C1"], "valid_range": [0, None], "method": "no",
    }  # fmt: skip
    return [yaml.safe_dump(settings).encode() if what == "yaml" else json.dumps(settings).encode()]


def fuzz(what: str, seconds: int, folder: Path, corpus: Path) -> None:
    """Try inputs until the time is over; does not return, as libFuzzer ends the process."""
    logging.disable(logging.CRITICAL)
    os.environ["BLUESKY_DIFFRACTOGRAM_CACHE"] = str(folder / "tables")
    poni = small_poni(folder / "small.poni")
    for number, seed in enumerate(seeds(what, poni)):
        (corpus / f"seed{number}").write_bytes(seed)
    path = folder / ("fuzzed.poni" if what == "calibration" else f"fuzzed.{what}")
    gc.freeze()
    tried = {"inputs": 0, "usable": 0}

    def one_input(data: bytes) -> None:
        path.write_bytes(data)
        taken = calibration_is_usable(path) if what == "calibration" else configuration_is_usable(path, poni)
        tried["inputs"] += 1
        tried["usable"] += taken
        (folder / TRIED).write_text(json.dumps(tried))

    limits = [f"-max_total_time={seconds}", "-max_len=2000", "-timeout=60", "-rss_limit_mb=6000", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={corpus}/", str(corpus)], one_input)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["calibration", "json", "yaml"])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, help="where inputs are kept that reach new code")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # set in the process that fuzzes
    options = parser.parse_args()
    if options.folder is not None:
        fuzz(options.what, options.seconds, options.folder, options.corpus)
    with tempfile.TemporaryDirectory() as name:
        corpus = options.corpus or Path(name) / "corpus"
        corpus.mkdir(exist_ok=True)
        command = [sys.executable, __file__, options.what, "--seconds", str(options.seconds)]
        done = subprocess.run([*command, "--folder", name, "--corpus", str(corpus)])
        tried = Path(name) / TRIED
        print(tried.read_text() if tried.exists() else '{"inputs": 0, "usable": 0}')
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()

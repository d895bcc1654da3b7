"""Live diffractograms of area-detector scans in bluesky.

>>> from bluesky_diffractogram import DiffractogramCallback

The names below are imported when they are first used, so that importing the package costs a profile nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .replay import replay

if TYPE_CHECKING:
    from .config import ConfigError, DiffractogramConfig, configuration, load_config
    from .devices import DiffractogramDevice, ReducedDetector
    from .documents.callback import ReductionCallback
    from .live import DiffractogramCallback
    from .plans import (
        calibrated_count,
        collect,
        configure_diffractogram,
        diffractogram_decorator,
        diffractogram_wrapper,
        readback_hints,
        reduced_one_1d_step,
        reduced_one_nd_step,
        reduced_one_shot,
        reset_buffer,
        scan_until_peak,
        track_peak,
        wait_for_reduction,
    )
    from .replay.columns import to_chi, to_fxye, to_xy
    from .replay.errors import ReplayError
    from .replay.nexus import to_nexus
    from .replay.replayed import Replay
    from .views import (
        DiffractogramFigure,
        KeepWindowsAlive,
        LiveCake,
        LiveDiffractogram,
        LiveDiffractogramGrid,
        LiveImage,
    )

_HOMES = {
    "ConfigError": ".config",
    "DiffractogramCallback": ".live",
    "DiffractogramConfig": ".config",
    "DiffractogramDevice": ".devices",
    "DiffractogramFigure": ".views",
    "KeepWindowsAlive": ".views",
    "LiveCake": ".views",
    "LiveDiffractogram": ".views",
    "LiveDiffractogramGrid": ".views",
    "LiveImage": ".views",
    "ReducedDetector": ".devices",
    "ReductionCallback": ".documents.callback",
    "Replay": ".replay.replayed",
    "ReplayError": ".replay.errors",
    "calibrated_count": ".plans",
    "collect": ".plans",
    "configuration": ".config",
    "configure_diffractogram": ".plans",
    "diffractogram_decorator": ".plans",
    "diffractogram_wrapper": ".plans",
    "load_config": ".config",
    "readback_hints": ".plans",
    "reduced_one_1d_step": ".plans",
    "reduced_one_nd_step": ".plans",
    "reduced_one_shot": ".plans",
    "reset_buffer": ".plans",
    "scan_until_peak": ".plans",
    "to_chi": ".replay.columns",
    "to_fxye": ".replay.columns",
    "to_nexus": ".replay.nexus",
    "to_xy": ".replay.columns",
    "track_peak": ".plans",
    "wait_for_reduction": ".plans",
}

__all__ = [
    "ConfigError",
    "DiffractogramCallback",
    "DiffractogramConfig",
    "DiffractogramDevice",
    "DiffractogramFigure",
    "KeepWindowsAlive",
    "LiveCake",
    "LiveDiffractogram",
    "LiveDiffractogramGrid",
    "LiveImage",
    "ReducedDetector",
    "ReductionCallback",
    "Replay",
    "ReplayError",
    "calibrated_count",
    "collect",
    "configuration",
    "configure_diffractogram",
    "diffractogram_decorator",
    "diffractogram_wrapper",
    "load_config",
    "readback_hints",
    "reduced_one_1d_step",
    "reduced_one_nd_step",
    "reduced_one_shot",
    "replay",
    "reset_buffer",
    "scan_until_peak",
    "to_chi",
    "to_fxye",
    "to_nexus",
    "to_xy",
    "track_peak",
    "wait_for_reduction",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("bluesky-diffractogram")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

"""Plans, stubs, hooks and preprocessors that use the reduction."""

from .calibrated import calibrated_count
from .hooks import readback_hints, reduced_one_1d_step, reduced_one_nd_step, reduced_one_shot
from .preprocessors import diffractogram_decorator, diffractogram_wrapper
from .scan_until import ScanUntilPeak, scan_until_peak
from .stubs import collect, configure_diffractogram, reset_buffer, wait_for_reduction
from .tracking import TrackedPeak, track_peak

__all__ = [
    "ScanUntilPeak",
    "TrackedPeak",
    "calibrated_count",
    "collect",
    "configure_diffractogram",
    "diffractogram_decorator",
    "diffractogram_wrapper",
    "readback_hints",
    "reduced_one_1d_step",
    "reduced_one_nd_step",
    "reduced_one_shot",
    "reset_buffer",
    "scan_until_peak",
    "track_peak",
    "wait_for_reduction",
]

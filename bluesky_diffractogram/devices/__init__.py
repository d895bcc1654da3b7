"""What a RunEngine sees of the reduction: ophyd devices."""

from .device import DiffractogramDevice
from .reduced_detector import ReducedDetector

__all__ = ["DiffractogramDevice", "ReducedDetector"]

"""Frames out of files, also of files that are still being written. Knows no documents."""

from .errors import NotReadable, NotThere, Unreadable
from .hdf5 import HDF5Frames
from .hdf5_find import find_datasets
from .paths import Paths
from .read_ahead import Reader, read_ahead
from .sequence import FileSequence

__all__ = [
    "FileSequence",
    "HDF5Frames",
    "NotReadable",
    "NotThere",
    "Paths",
    "Reader",
    "Unreadable",
    "find_datasets",
    "read_ahead",
]

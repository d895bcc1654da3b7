"""Frames out of files, also of files that are still being written. Knows no documents."""

from .errors import NotReadable, NotThere, Unreadable
from .hdf5 import HDF5Frames
from .hdf5_find import find_datasets
from .paths import Paths
from .read_ahead import Reader, read_ahead
from .sequence import FileSequence
from .state import file_state, joined_states
from .text import read_text

__all__ = [
    "FileSequence",
    "HDF5Frames",
    "NotReadable",
    "NotThere",
    "Paths",
    "Reader",
    "Unreadable",
    "file_state",
    "find_datasets",
    "joined_states",
    "read_ahead",
    "read_text",
]

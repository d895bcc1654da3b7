"""From documents that name files to the frames in them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from ..files import FileSequence, HDF5Frames, Paths, Unreadable

Document = Mapping[str, Any]

AREA_DETECTOR_DATASET = "/entry/data/data"
HDF5 = ("application/x-hdf5", "application/x-hdf")
MULTIPART = tuple(f"multipart/related;type={kind}" for kind in ("image/tiff", "image/jpeg", "application/x-npy"))
ONE_FILE_EACH = (*MULTIPART, "application/x-npy")


class Frames(Protocol):
    """Frames in files, numbered from 0."""

    def read(self, index: int, paths: Paths | None = None) -> NDArray:
        """``(ny, nx)``; `NotReadable` where it is not there yet, `Unreadable` where it never will be."""
        ...

    def require(self, index: int, paths: Paths | None = None) -> None:
        """Raise what `read` would of a frame that is not there."""
        ...

    def state(self, index: int, paths: Paths | None = None) -> str | None:
        """What is the same as long as the frame is what it was; None where that cannot be told."""
        ...

    def name(self, index: int) -> str:
        """What people call the frame."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


def uri_of(doc: Document) -> str:
    """What a Resource or StreamResource document says of where its files lie, a URI or a path."""
    return doc.get("uri") or os.path.join(doc.get("root") or "", doc.get("resource_path") or "")


def plain_mimetype(mimetype: Any) -> str:
    """As it is compared: without blanks, in small letters."""
    return str(mimetype).replace(" ", "").lower()


def frames_of_stream_resource(doc: Document, paths: Paths) -> Frames:
    """The frames that a StreamResource document names, in its present form or that of event-model before 1.20.

    Raises
    ------
    Unreadable
        They are in no format that is read here, or where nothing may be opened.
    """
    parameters = stream_parameters(doc)
    path = paths.resolve(uri_of(doc))
    mimetype = plain_mimetype(doc.get("mimetype") or _mimetype_of_spec(str(doc.get("spec", ""))))
    if mimetype in HDF5:
        if parameters.get("slice"):  # of tiled's adapter: without it other numbers would be read
            raise Unreadable(f"{path}: a data set of which only {parameters['slice']!r} is meant is not read")
        return HDF5Frames.open(path, parameters.get("dataset") or parameters.get("path") or AREA_DETECTOR_DATASET)
    if mimetype in ONE_FILE_EACH:
        return _sequence(path, parameters)
    raise Unreadable(f"no reader for {mimetype or doc.get('spec')!r}")


def frames_per_event(resource: Document, data_key: Document) -> int:
    """How many frames each index of a StreamDatum stands for.

    Parameters
    ----------
    resource
        The StreamResource document. Older ones say it themselves.
    data_key
        Of the images, in the descriptor: its shape is ``(n, ny, nx)``.
    """
    parameters = stream_parameters(resource)
    for key in ("multiplier", "frame_per_point"):
        if parameters.get(key) is not None:
            return int(parameters[key])
    leading = list(data_key.get("shape") or ())[:-2]
    return max(1, math.prod(int(n) for n in leading if n))


def stream_parameters(resource: Document) -> dict[str, Any]:
    """The ``parameters`` of a StreamResource, which were called ``resource_kwargs``."""
    return dict(resource.get("parameters") or resource.get("resource_kwargs") or {})


def frames_of_resource(doc: Document, paths: Paths) -> Frames | None:
    """The frames that a Resource document of areaDetector's file plugins names; None for others.

    Raises
    ------
    Unreadable
        They are where nothing may be opened.
    """
    spec, kwargs = doc["spec"], doc.get("resource_kwargs") or {}
    if not set(kwargs) <= {"frame_per_point", "path", "template", "filename", "images_per_file", "swmr"}:
        return None  # somebody's own, of the same name
    path = uri_of(doc)
    if spec in ("AD_HDF5", "AD_HDF5_SWMR"):
        return HDF5Frames.open(paths.resolve(path), AREA_DETECTOR_DATASET)
    if spec == "AD_TIFF" and str(kwargs.get("template", "")).startswith("%s%s"):
        return _sequence(paths.resolve(path), kwargs)
    return None


def _sequence(path: str, parameters: Mapping[str, Any]) -> FileSequence:
    template, name = str(parameters.get("template") or ""), str(parameters.get("filename") or "").replace("%", "%%")
    if template.startswith("%s%s"):  # areaDetector's: folder, name, number
        template = name + template[4:]
    elif template.startswith("%s") and name:
        template = name + template[2:]
    elif template.startswith("%s_"):  # ophyd's NPY_SEQ: the path begins the name
        path, begin = os.path.split(path)
        template = begin.replace("%", "%%") + template[2:]
    if not template:
        raise Unreadable(f"nothing says how the files in {path} are called")
    return FileSequence(path, template)


def _mimetype_of_spec(spec: str) -> str:
    if "HDF5" in spec:
        return HDF5[0]
    return ONE_FILE_EACH[0] if "TIFF" in spec else ""

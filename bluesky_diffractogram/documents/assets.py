"""Images that lie in files: where documents say they are, and reading them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ..files import Paths, Reader, Unreadable, read_ahead, read_text
from ..reduction.frame import FrameError
from .filled import Datums
from .images import ReadImage, as_read
from .messages import Document, ImagesReceived, StreamRows
from .resources import Frames, frames_of_resource, frames_of_stream_resource, uri_of

MOST_RESOURCES = 10_000
KEPT_RESOURCES = 64
MOST_OPEN = 32
MOST_BEGUN = 2

# How many images there are; of each the imagename, or None, and what gives it or raises why it cannot be had.
NamedImages = tuple[int, Iterator[tuple[str | None, Callable[[], ReadImage]]]]


class Assets:
    """Reads images from files.

    HDF5 files, and TIFF, JPEG and NPY files of a frame each, are read here; the rest by the handlers of others.

    Parameters
    ----------
    handler_registry
        Readers by spec of Resource documents, in place of those here and of the installed ones.
    root_map
        Where folders named in documents lie here.
    roots
        Folders outside of which nothing is opened; None is no such limit.
    pixel_digests
        Whether frames in memory are to be known by their pixels, which takes longer than reducing them.
    """

    def __init__(
        self,
        handler_registry: Mapping[str, Any] | None = None,
        root_map: Mapping[str, str] | None = None,
        roots: Sequence[str] | None = None,
        *,
        pixel_digests: bool = False,
    ) -> None:
        self.pixel_digests = pixel_digests
        self._paths = Paths(root_map, roots)
        self._datums = Datums(handler_registry or {}, root_map or {})
        self._stream_resources: OrderedDict[str, Document] = OrderedDict()
        self._open: OrderedDict[str, Frames] = OrderedDict()
        self._begun: OrderedDict[StreamRows, Callable[[], ReadImage]] = OrderedDict()
        self._reader: Reader | None = None

    def receive(self, name: str, doc: Document) -> None:
        """Keep a document that tells of files, or a descriptor."""
        if name == "stream_resource":
            self._stream_resources[doc["uid"]] = doc
            _shorten(self._stream_resources, MOST_RESOURCES)
        else:
            self._datums.receive(name, doc)

    def images(
        self, images: ImagesReceived, begin: int = 0, end: int | None = None, *, whole: bool = False
    ) -> NamedImages:
        """The images of one event; the next ones are read while one is worked on.

        Parameters
        ----------
        images
            Which event.
        begin, end
            The first one wanted, and the first one behind that is not; None are all.
        whole
            Whether all are wanted or none: it is seen first whether the last one is there.

        Raises
        ------
        NotReadable
            The file is not there yet, or does not hold them yet; where they are read here, the images raise it.
        FrameError
            They will never be readable: no reader for them, damaged, or documents that were not seen.
        """
        try:
            rows = self.rows(images)
            if rows is None:
                return self._filled(images, begin, end)
            frames = self._frames(rows.resource)
            if whole:
                frames.require(rows.first + rows.number - 1, self._paths)
            frames.name(rows.first)  # which a template may not give
        except Unreadable as error:
            raise FrameError("unreadable", str(error)) from error
        begun = self._begun.pop(rows, None)
        if begun is not None and begin == 0:
            return 1, iter([(frames.name(rows.first), begun)])
        stop = rows.number if end is None else min(end, rows.number)
        indices = range(rows.first + begin, rows.first + stop)
        reads = read_ahead(partial(self._read, frames), indices)
        return rows.number, ((frames.name(index), read) for index, read in zip(indices, reads, strict=True))

    def states(self, images: ImagesReceived, index: int | None) -> list[str | None]:
        """What is the same as long as the images of an event in files are (`files.file_state`); without reading them.

        Parameters
        ----------
        images
            Which event.
        index
            Which one of its images; None are all.

        Raises
        ------
        NotReadable, Unreadable, FrameError
            They cannot be had.
        """
        rows = self.rows(images)
        if rows is None:
            return [self._datums.state(images.event["data"].get(images.image_key))]
        frames = self._frames(rows.resource)
        wanted = range(rows.number) if index is None else (index,)
        return [frames.state(rows.first + i, self._paths) for i in wanted]

    def text(self, uri: str) -> str:
        """The text of a small file that a document names.

        Raises
        ------
        NotReadable, Unreadable
            It is not there, may not be opened, or is not small.
        """
        return read_text(self._paths.resolve(uri))

    def resource_of(self, images: ImagesReceived) -> str | None:
        """The uids of the resources that an event's images come from, of all its detectors, if they are known."""
        uids = []
        for key, rows in _places(images):
            found = None if rows is not None else self._datums.find(images.event["data"].get(key))
            uids.append(rows.resource if rows is not None else "" if found is None else str(found[0]["uid"]))
        return " ".join(uids) if uids[0] else None

    def done(self, images: ImagesReceived) -> None:
        """An event will not be asked for again, but perhaps the latest: its datums may be forgotten."""
        for value in images.event["data"].values():
            self._datums.used(value)

    def prefetch(self, images: ImagesReceived) -> None:
        """Begin to read the image of an event that will be asked for next, if it is a single one in a stream."""
        every = [images.rows, *(rows for _, rows in images.other_rows)]
        try:
            for rows in every:
                if rows is None or rows.number != 1:
                    return
                if self._reader is None:  # of its own: a file system that hangs holds up no other callback
                    self._reader = Reader()
                self._begun[rows] = self._reader.begin(partial(self._read, self._frames(rows.resource), rows.first))
                _shorten(self._begun, MOST_BEGUN * len(every))
        except Exception:
            return  # which is said when it is asked for

    def forget(self) -> None:
        """Close what is open, for when no run is; what the latest image needs stays, for `next`."""
        self._begun.clear()
        if self._reader is not None:
            self._reader.end()
            self._reader = None
        self._datums.forget()
        _shorten(self._stream_resources, KEPT_RESOURCES)
        while self._open:
            self._open.popitem()[1].close()

    def load_handlers(self) -> None:
        """Load the readers of area detectors now, which takes a second, and not when the first file is announced."""
        self._datums.load_handlers()

    def _read(self, frames: Frames, index: int) -> ReadImage:
        state = frames.state(index, self._paths)  # before: what is written meanwhile changes it
        try:
            return ReadImage(frames.read(index, self._paths), state)
        except Unreadable as error:
            raise FrameError("unreadable", str(error)) from error

    def rows(self, images: ImagesReceived) -> StreamRows | None:
        """Where the images of an event lie, if they can be read here without a handler.

        Raises
        ------
        NotReadable, Unreadable
            They lie nowhere that may be opened.
        """
        return images.rows or self._rows_of_datum(images)

    def described(self, images: ImagesReceived) -> list[tuple[str, Document]] | None:
        """The documents that tell where the images of an event lie, as `receive` takes them; None if one is missing.

        Of all its detectors; None as well if the image of one lies in no file, but for optional ones without any.
        """
        documents: list[tuple[str, Document]] = []
        for key, rows in _places(images):
            if rows is not None:
                resource = self._stream_resources.get(rows.resource)
                found = None if resource is None else [("stream_resource", resource)]
            else:
                found = self._datums.described(images.event["data"].get(key))
            if found is None:
                return None
            documents += found
        return documents

    def _rows_of_datum(self, images: ImagesReceived) -> StreamRows | None:
        """Where the images of a datum are, if they can be read here without a handler."""
        found = self._datums.find(images.event["data"][images.image_key])
        if found is None:
            return None
        resource, kwargs = found
        if resource["spec"] in self._datums.given_handlers or set(kwargs) != {"point_number"}:
            return None
        uid = resource["uid"]
        if uid not in self._open:
            frames = frames_of_resource(resource, self._paths)
            if frames is None:
                return None
            self._keep_open(uid, frames)
        number = int((resource.get("resource_kwargs") or {}).get("frame_per_point") or 1)
        return StreamRows(uid, kwargs["point_number"] * number, number)

    def _filled(self, images: ImagesReceived, begin: int, end: int | None) -> NamedImages:
        datum_id, name = images.event["data"][images.image_key], None
        found = self._datums.find(datum_id)
        if found is not None:
            resource, kwargs = found
            if self._paths.limited and resource["spec"] not in self._datums.given_handlers:
                raise Unreadable(
                    f"what the reader of {resource['spec']!r} opens cannot be held to the roots; "
                    "give it as handler_registry= if it is to be trusted"
                )
            self._paths.resolve(uri_of(resource))
            index = next((kwargs[key] for key in ("point_number", "frame", "index") if key in kwargs), None)
            name = resource["resource_path"] + ("" if index is None else f":{index}")
        state = self._datums.state(datum_id)
        arrays = self._datums.fill(images.event, images.image_key)
        names = [name if len(arrays) == 1 or name is None else f"{name}[{i}]" for i in range(len(arrays))]
        found_images = [(name, as_read(a, lambda _: state)) for name, a in zip(names, arrays, strict=True)]
        return len(arrays), iter(found_images[begin:end])

    def _frames(self, uid: str) -> Frames:
        if uid not in self._open:
            resource = self._stream_resources.get(uid)
            if resource is None:
                raise FrameError("unknown datum", f"the StreamResource document {uid!r} was not seen")
            self._keep_open(uid, frames_of_stream_resource(resource, self._paths))
        self._open.move_to_end(uid)
        return self._open[uid]

    def _keep_open(self, uid: str, frames: Frames) -> None:
        self._open[uid] = frames
        while len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)[1].close()


def _places(images: ImagesReceived) -> list[tuple[str, StreamRows | None]]:
    """The data keys of an event's images on all detectors, the first one's first, and where they lie if it is told."""
    rows = {images.image_key: images.rows, **dict(images.other_rows)}
    merge, data = images.setting.config.merge, images.event["data"]
    there = [each.image_key for each in merge if not each.optional or each.image_key in {*rows, *data}]
    return [(key, rows.get(key)) for key in (images.image_key, *there)]


def _shorten(documents: OrderedDict[Any, Any], most: int) -> None:
    while len(documents) > most:
        documents.popitem(last=False)

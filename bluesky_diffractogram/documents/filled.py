"""Resource and Datum documents, and their images through event-model's Filler and the handlers of others."""

from __future__ import annotations

import functools
import logging
from collections import OrderedDict, deque
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from numpy.typing import NDArray

from ..files import NotReadable
from ..reduction.frame import FrameError
from .handler_files import HandlerFiles
from .images import frames_in
from .messages import Document
from .resources import uri_of

logger = logging.getLogger(__name__)

HANDLERS = "databroker.handlers"
LOADED_BEFORE = ("AD_HDF5", "AD_TIFF")
KEPT_DATUMS = 64
MOST_OF_AN_EVENT = 8
MOST_HANDLERS = 32
MOST_RESOURCES = MOST_DESCRIPTORS = 10_000
MOST_DATUMS = 300_000


@functools.cache
def _offered() -> dict[str, list[EntryPoint]]:
    """By Resource spec."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=HANDLERS):
        found.setdefault(entry.name, []).append(entry)
    return found


@functools.cache
def _loaded(spec: str) -> Any:
    """Of an offered spec; None if it cannot be loaded."""
    for entry in reversed(_offered()[spec]):
        try:
            return entry.load()
        except Exception as error:  # a broken package must not take others with it
            logger.warning("the handler for %s cannot be loaded: %s", spec, error)
    return None


def installed_handler(spec: str) -> Any:
    """The reader that an installed package offers for a Resource spec under databroker's entry points; None for none.

    It is imported when it is first asked for: that of ophyd's simulated detectors brings all of ophyd with it, and
    those of area detectors dask, of which a process that reads other files needs nothing.
    """
    return _loaded(spec) if spec in _offered() else None


class Datums:
    """Keeps the documents, and fills images.

    Parameters
    ----------
    handler_registry
        Readers by spec, in place of the installed ones of the same spec.
    root_map
        Where folders named in Resource documents lie here.
    """

    def __init__(self, handler_registry: Mapping[str, Any], root_map: Mapping[str, str]) -> None:
        self.given_handlers = dict(handler_registry)
        self._root_map = dict(root_map)
        self._filler: Any = None
        self._datums: dict[str, Any] = {}
        self._resources: dict[str, Any] = {}
        self._handlers: dict[Any, Any] = {}
        self._files = HandlerFiles()
        self._descriptors: dict[str, Any] = {}
        self._used: deque[str] = deque()
        # By resource: an event with images of several detectors has a datum of each of theirs.
        self._last: OrderedDict[str, str] = OrderedDict()
        self._last_descriptor = ""

    def receive(self, name: str, doc: Document) -> None:
        """Keep a Resource, Datum, datum page or descriptor; a datum of an unknown resource is of no use."""
        if name in ("datum", "datum_page"):
            if doc["resource"] not in self._resources:
                return
            if doc["resource"] in self._last:
                self._last.clear()
            self._last[doc["resource"]] = doc["datum_id"] if name == "datum" else doc["datum_id"][-1]
            if len(self._last) > MOST_OF_AN_EVENT:
                self._last.popitem(last=False)
        elif name == "descriptor":
            self._last_descriptor = doc["uid"]
        if self._filler is None:
            self._make_filler()
        if name == "resource":
            self._know(doc.get("spec"))
        self._filler(name, doc)
        for cache, most in (
            (self._resources, MOST_RESOURCES), (self._descriptors, MOST_DESCRIPTORS), (self._datums, MOST_DATUMS),
        ):  # fmt: skip
            while len(cache) > most:  # for when there is always some run open, and `forget` never called
                del cache[next(iter(cache))]

    def find(self, datum_id: Any) -> tuple[Document, Document] | None:
        """The Resource document and the ``datum_kwargs`` of a datum; None if they were not seen."""
        datum = self._datums.get(datum_id)
        resource = self._resources.get(datum["resource"]) if datum else None
        return None if datum is None or resource is None else (resource, datum.get("datum_kwargs") or {})

    def described(self, datum_id: Any) -> list[tuple[str, Document]] | None:
        """The Resource and Datum documents of a datum, as `receive` takes them; None if they were not seen."""
        datum = self._datums.get(datum_id) if isinstance(datum_id, str) else None
        resource = self._resources.get(datum["resource"]) if datum else None
        return None if datum is None or resource is None else [("resource", resource), ("datum", datum)]

    def used(self, datum_id: Any) -> None:
        """This datum, if it is one, was read: only the last few of those are kept."""
        if not isinstance(datum_id, str) or datum_id not in self._datums:
            return
        self._used.append(datum_id)
        while len(self._used) > KEPT_DATUMS:
            self._datums.pop(self._used.popleft(), None)

    def fill(self, event: Document, image_key: str) -> list[NDArray]:
        """The images of an event, ``(ny, nx)`` each.

        Raises
        ------
        NotReadable
            The file is not there yet, or does not hold them yet.
        FrameError
            They will never be readable: no reader for them, or documents that were not seen.
        """
        import event_model

        datum_id = event["data"][image_key]
        alone = {
            "uid": event["uid"],
            "descriptor": event["descriptor"],
            "data": {image_key: datum_id},
            "timestamps": {},
            "filled": {image_key: False},
            "seq_num": event["seq_num"],
            "time": event["time"],
        }
        try:
            filled = self._filler.fill_event(alone, include={image_key}, inplace=False)
        except event_model.UndefinedAssetSpecification as error:
            raise FrameError("no file reader", str(error)) from error
        except (event_model.UnresolvableForeignKeyError, AttributeError, KeyError) as error:
            if self.find(datum_id) is not None:
                self._forget_handlers()
                raise NotReadable(f"{type(error).__name__}: {error}") from error
            raise FrameError("unknown datum", f"the documents for datum {datum_id!r} were not seen") from error
        except Exception as error:
            # A reader may have kept what it saw of a half-written file.
            self._forget_handlers()
            cause = error.__cause__ or error
            missing = self._path_of(datum_id, cause) if isinstance(cause, FileNotFoundError) else None
            raise NotReadable(f"{type(cause).__name__}: {cause}", missing) from error
        if len(self._handlers) > MOST_HANDLERS:  # each may hold a file open
            self._forget_handlers()
        return frames_in(filled["data"][image_key])

    def state(self, datum_id: Any) -> str | None:
        """What is the same as long as a datum's images are; None where that cannot be told."""
        found = self.find(datum_id)
        if found is None:
            return None
        resource, kwargs = found
        key = resource["uid"], resource["spec"]  # as the filler calls it
        try:
            if key not in self._handlers:
                self._handlers[key] = self._filler.get_handler(resource)
            return self._files.state(self._handlers[key], kwargs)
        except Exception:  # which is said when it is read
            return None

    def _path_of(self, datum_id: Any, error: FileNotFoundError) -> str | None:
        """The file that is not there, as the error says, else the documents."""
        found = self.find(datum_id)
        return error.filename or (None if found is None else uri_of(found[0]))

    def _forget_handlers(self) -> None:
        self._handlers.clear()
        self._files.forget()

    def forget(self) -> None:
        """Close what is open, for when no run is; the documents of the latest image stay, for `next`."""
        kept = {datum_id: self._datums[datum_id] for datum_id in self._last.values() if datum_id in self._datums}
        resources = {uid: self._resources[uid] for uid in (d["resource"] for d in kept.values())}
        descriptors = {uid: doc for uid, doc in self._descriptors.items() if uid == self._last_descriptor}
        for cache, remaining in (
            (self._datums, kept), (self._resources, resources), (self._descriptors, descriptors), (self._handlers, {}),
        ):  # fmt: skip
            cache.clear()
            cache.update(remaining)
        self._files.forget()
        self._used.clear()

    def load_handlers(self) -> None:
        """Load the readers of area detectors, which takes a second."""
        self._make_filler()
        for spec in LOADED_BEFORE:
            self._know(spec)

    def _know(self, spec: Any) -> None:
        """Have the filler read resources of a spec, if there is a reader."""
        known = not isinstance(spec, str) or spec in self._filler.handler_registry
        if not known and (handler := installed_handler(spec)) is not None:
            self._filler.register_handler(spec, handler)

    def _make_filler(self) -> None:
        from event_model import Filler

        # No retries there: they would hold up every other run. Parked frames are tried again instead.
        self._filler = Filler(
            self.given_handlers,
            root_map=self._root_map,
            coerce="force_numpy",
            inplace=False,
            retry_intervals=[],
            handler_cache=self._handlers,
            resource_cache=self._resources,
            datum_cache=self._datums,
            descriptor_cache=self._descriptors,
        )

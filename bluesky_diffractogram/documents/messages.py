"""What passes from the thread that receives documents to the one that reduces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .setting import Setting

Document = dict[str, Any]
Reading = tuple[Any, str | None]
"""A value, and its unit if that is said."""


@dataclass(frozen=True, eq=False, slots=True)
class RunStarted:
    start: Document
    setting: Setting


@dataclass(frozen=True, eq=False, slots=True)
class ImagesDescribed:
    """A descriptor whose stream brings images."""

    descriptor: Document
    image_key: str
    setting: Setting


@dataclass(frozen=True, slots=True)
class StreamRows:
    """Frames `first` to ``first + number - 1`` of those that the StreamResource (or Resource) `resource` names."""

    resource: str
    first: int
    number: int


@dataclass(frozen=True, eq=False, slots=True)
class ImagesReceived:
    """The image of one event, in memory or as a reference into a file.

    Attributes
    ----------
    event
        The raw event, never written to; or what stands in for it where a fly scan emits none.
    image_key
        Which of its data keys holds the image.
    in_file
        Whether the image lies in a file: `event` holds a datum id instead of it, or `rows` says where.
    frames
        How many frames it counts as, as far as can be told before it is read.
    setting
        The configuration in force when it was received.
    rows
        Where it lies, if a StreamDatum says it.
    other_rows
        Where the images of further detectors lie that StreamDatum documents tell of, by their data keys.
    others_in_memory
        Whether `event` holds the image of a further detector.
    texts
        What small files that its event names held when it came, or why they could not be read, by how they are named.
    baseline
        The latest readings of the run's baseline before it.
    """

    run_uid: str
    descriptor: Document
    event: Document
    image_key: str
    in_file: bool
    frames: int
    setting: Setting
    rows: StreamRows | None = None
    other_rows: tuple[tuple[str, StreamRows], ...] = ()
    others_in_memory: bool = False
    texts: Mapping[str, str | Exception] = field(default_factory=dict)
    baseline: Mapping[str, Reading] = field(default_factory=dict)

    @property
    def is_told(self) -> bool:
        """Whether documents say what or where its image is."""
        return self.rows is not None or self.image_key in self.event["data"]

    @property
    def in_memory(self) -> bool:
        """Whether it holds pixels, be they only those of a further detector."""
        return not self.in_file or self.others_in_memory


@dataclass(frozen=True, eq=False, slots=True)
class DarkReceived:
    """Images that are no frames, but the dark of those that follow in their run."""

    images: ImagesReceived


@dataclass(frozen=True, eq=False, slots=True)
class DarkPassedOver:
    """A dark that is not read; `why` as for frames."""

    run_uid: str
    why: str


REFUSED = "refused"


@dataclass(frozen=True, eq=False, slots=True)
class FramesPassedOver:
    """Frames that are not reduced; `why` is ``"dropped"``, ``"not_requested"``, ``"replaced"`` or ``"refused"``."""

    run_uid: str
    event_uid: str
    frames: int
    why: str


@dataclass(frozen=True, eq=False, slots=True)
class AssetDescribed:
    """A document that tells of files, or the descriptor that a filler needs with them."""

    name: str
    doc: Document


@dataclass(frozen=True, eq=False, slots=True)
class RunStopped:
    """The raw stop, and how many of its events with images never came."""

    run_uid: str
    stop: Document
    missing: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class SettingChanged:
    setting: Setting


@dataclass(frozen=True, eq=False, slots=True)
class ResetRequested:
    """Empty the buffers of what was received before."""


@dataclass(frozen=True, eq=False, slots=True)
class NextRequested:
    """Reduce this image, of the run of this start document, once, whatever was decided when it came."""

    images: ImagesReceived
    setting: Setting
    start: Document


@dataclass(frozen=True, eq=False, slots=True)
class RunAbandoned:
    """A run that will see no stop document, and how many of its events with images are known to be missing."""

    run_uid: str
    reason: str
    missing: int = 0


Message = (
    RunStarted
    | ImagesDescribed
    | ImagesReceived
    | FramesPassedOver
    | DarkReceived
    | DarkPassedOver
    | AssetDescribed
    | RunStopped
    | SettingChanged
    | NextRequested
    | ResetRequested
    | RunAbandoned
)


def images_of(message: Message) -> ImagesReceived | None:
    """The images that a message brings, be they frames or a dark."""
    if isinstance(message, DarkReceived):
        return message.images
    return message if isinstance(message, ImagesReceived) else None


@dataclass(frozen=True, eq=False, slots=True)
class OriginOfFrame:
    """Where a frame came from, as the derived event tells it."""

    event_uid: str
    stream: str
    seq_num: int
    frame_index: int
    carried: Document = field(default_factory=dict)
    timestamps: Document = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int, int]:
        """What a later frame has in common with the one whose place it takes."""
        return self.stream, self.seq_num, self.frame_index

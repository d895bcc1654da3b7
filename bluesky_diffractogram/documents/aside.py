"""A frame that was reduced once more, as documents for who shows derived runs: no stored run holds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..reduction.diffractogram import Reduction
from ..reduction.reducer import Reducer
from .derived_keys import carried_keys
from .derived_run import DerivedRun
from .images import Document
from .messages import OriginOfFrame
from .setting import Setting
from .tally import FrameTally


def documents_aside(
    start: Document,
    descriptor: Document,
    reduction: Reduction,
    reducer: Reducer,
    setting: Setting,
    origin: OriginOfFrame,
    emit: Callable[[str, dict[str, Any]], None],
) -> None:
    """Emit a derived run of one event.

    Parameters
    ----------
    start, descriptor
        The raw documents that the frame belongs to.
    reduction, reducer, setting, origin
        Of the frame.
    emit
        Called with ``(name, doc)`` of every document.
    """
    described = setting.switched(reset_on_start=False).provenance  # no scan begins with it
    derived = DerivedRun(start, emit)
    carried = carried_keys(descriptor, setting.config.carry, start.get("hints") or {})
    derived.start(described, carried, one_to_one=False)
    derived.event(reduction, reducer, None, descriptor, origin, described)
    derived.stop("success", "", FrameTally())

"""Files that are whole under their names."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PART = re.compile(r"\.[0-9a-f]{32}\.part")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a name to write a file under, of nobody else's and in the same folder; what is there then becomes `path`.

    If writing ends with an exception, `path` stays as it was.
    """
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def is_part(name: str) -> bool:
    """Whether a file of that name was left by a process that was killed while it wrote."""
    return _PART.fullmatch(name) is not None

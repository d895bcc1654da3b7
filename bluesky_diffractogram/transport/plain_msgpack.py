"""msgpack itself, also where msgpack-numpy has put functions in its place that unpickle (as bluesky-kafka lets it)."""

from __future__ import annotations

from typing import Any

try:
    from msgpack._cmsgpack import Packer, Unpacker, unpackb
except ImportError:  # msgpack without its compiled part
    from msgpack.fallback import Packer, Unpacker

    def unpackb(payload: bytes, **options: Any) -> Any:
        """What one message holds."""
        unpacker = Unpacker(None, max_buffer_size=len(payload), **options)
        unpacker.feed(payload)
        value = unpacker.unpack()
        if unpacker.tell() != len(payload):
            raise ValueError("there is something behind it")
        return value


__all__ = ["Packer", "Unpacker", "unpackb"]

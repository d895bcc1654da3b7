"""What stands behind the addresses of the command line."""

from __future__ import annotations

from ..transport.address import Address
from ..transport.curve import CurveKeys
from .serving import DocumentSource, Sink


def open_source(
    address: Address, *, prefix: bytes = b"", group: str = "", keys: CurveKeys | None = None, allow_pickle: bool = False
) -> DocumentSource:
    """Where raw documents come from.

    Raises
    ------
    ValueError
        Documents cannot be had from there.
    RuntimeError
        What it takes is not installed.
    OSError
        The address cannot be had.
    """
    if address.kind == "0mq":
        from ..transport.zmq_source import ZmqSource

        return ZmqSource(address, prefix=prefix, keys=keys, allow_pickle=allow_pickle)
    raise ValueError(f"documents cannot be received from {address.endpoint}: expected 0mq:// or kafka://")


def open_sink(address: Address, *, keys: CurveKeys | None = None) -> Sink:
    """Where derived documents go; raises as `open_source` does."""
    if address.kind == "0mq":
        from ..transport.zmq_sink import ZmqSink

        return ZmqSink(address, keys=keys)
    raise ValueError(f"nothing can be sent to {address.endpoint}")

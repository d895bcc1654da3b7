"""What stands behind the addresses of the command line."""

from __future__ import annotations

from ..replay.errors import ReplayError
from ..transport.address import Address
from ..transport.curve import CurveKeys
from .console import require
from .serving import DocumentSource, Sink


def open_source(
    address: Address, *, prefix: bytes = b"", group: str = "", keys: CurveKeys | None = None, allow_pickle: bool = False
) -> DocumentSource:
    """Where raw documents come from.

    Raises
    ------
    ValueError
        Documents cannot be had from there.
    typer.Exit
        What it takes is not installed, which is said.
    OSError
        The address cannot be had.
    """
    if address.kind == "0mq":
        from ..transport.zmq_source import ZmqSource

        return ZmqSource(address, prefix=prefix, keys=keys, allow_pickle=allow_pickle)
    if address.kind == "kafka":
        require("confluent_kafka", "kafka")
        from ..transport.kafka_settings import kafka_settings
        from ..transport.kafka_source import KafkaSource

        return KafkaSource(address, group, allow_pickle=allow_pickle, settings=kafka_settings())
    raise ValueError(f"documents cannot be received from {address.endpoint}: expected 0mq:// or kafka://")


def open_sink(address: Address, *, keys: CurveKeys | None = None) -> Sink:
    """Where derived documents go; raises as `open_source` does."""
    if address.kind == "0mq":
        from ..transport.zmq_sink import ZmqSink

        return ZmqSink(address, keys=keys)
    if address.kind == "kafka":
        require("confluent_kafka", "kafka")
        from ..transport.kafka_settings import kafka_settings
        from ..transport.kafka_sink import KafkaSink

        return KafkaSink(address, settings=kafka_settings())
    from .catalogues import open_catalogue, without_key
    from .tiled_runs import TiledRuns

    try:
        return TiledRuns(open_catalogue(address.endpoint), without_key(address.endpoint))
    except ReplayError as error:
        raise ValueError(str(error)) from None

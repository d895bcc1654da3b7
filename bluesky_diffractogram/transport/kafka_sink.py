"""Documents sent to Kafka as bluesky-kafka's ``Publisher`` does; each run in one partition, and so in order."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException, Producer

from .address import Address
from .kafka_settings import MOST_BYTES
from .wire import pack

logger = logging.getLogger(__name__)

FLUSH_S = 10.0


class KafkaSink:
    """Sends every document that it is called with.

    Parameters
    ----------
    address
        Brokers and topic.
    settings
        Further ones of librdkafka.

    Raises
    ------
    ValueError
        librdkafka refuses the settings.
    """

    def __init__(self, address: Address, *, settings: Mapping[str, Any] | None = None) -> None:
        self._topic = address.topic
        self._runs: dict[str, str] = {}  # by descriptor
        ours = {"bootstrap.servers": address.endpoint, "enable.idempotence": True}
        try:
            self._producer = Producer({"message.max.bytes": MOST_BYTES, **dict(settings or {}), **ours})
        except (KafkaException, TypeError) as error:
            raise ValueError(f"Kafka refuses the settings: {error}") from None

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Send a document; TypeError if it holds what no document should."""
        run = doc["uid"] if name == "start" else doc.get("run_start") or self._runs.get(doc.get("descriptor", ""), "")
        if name == "descriptor":
            self._runs[doc["uid"]] = run
        elif name == "stop":
            self._runs = {uid: each for uid, each in self._runs.items() if each != run}
        message = pack((name, doc))
        while True:
            try:
                self._producer.produce(self._topic, key=run, value=message, on_delivery=_delivered)
                break
            except BufferError:  # as much waits as may
                self._producer.poll(1.0)
        self._producer.poll(0)

    def flush(self) -> bool:
        """Send what waits, for ten seconds at most; whether all has been sent."""
        return self._producer.flush(FLUSH_S) == 0

    def close(self) -> None:
        """Send what waits, for ten seconds at most."""
        if not self.flush():
            logger.warning("Kafka: documents were not delivered")


def _delivered(error: Any, _: Any) -> None:
    if error is not None:
        logger.error("Kafka: a document was not delivered: %s", error)

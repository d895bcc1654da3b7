"""Where documents come from and go to, as it is written on a command line."""

from __future__ import annotations

import re
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
FORMS = "0mq://HOST:PORT, 0mq+bind://HOST:PORT, 0mq+ipc:///PATH (0mq+plain… without CURVE), kafka://BROKER:PORT/TOPIC, tiled+http://HOST:PORT"


@dataclass(frozen=True, slots=True)
class Address:
    """An address.

    Attributes
    ----------
    kind
        ``"0mq"``, ``"kafka"`` or ``"tiled"``.
    endpoint
        What 0MQ, Kafka or tiled call it: ``tcp://127.0.0.1:5578``, ``127.0.0.1:9092``, ``http://127.0.0.1:8000``.
    bind
        Whether others connect to it (0MQ).
    topic
        Of Kafka.
    plain
        Whether it does without CURVE although there are keys (0MQ).
    """

    kind: str
    endpoint: str
    bind: bool = False
    topic: str = ""
    plain: bool = False

    @property
    def local(self) -> bool:
        """Whether it is on this machine alone."""
        places = re.sub(r"^\w+://", "", self.endpoint).split(",")
        hosts = [re.sub(r"(:\d+)?(/.*)?$", "", place) for place in places]
        return self.endpoint.startswith("ipc://") or all(host in (LOOPBACK, "localhost", "[::1]") for host in hosts)


def parse_address(text: str) -> Address:
    """Read an address; a host that is left out is this machine, 127.0.0.1.

    Raises
    ------
    ValueError
        It is none, and the message has the forms that there are; or it holds a secret, which the message does not.
    """
    if re.search(r"://[^/]*@|[?&]api_key=", text):
        raise ValueError(
            f"{text.partition('://')[0]}://…: keys and passwords are seen by others on a command line: give them in "
            "the environment (TILED_API_KEY, DIFFRACTOGRAM_KAFKA)"
        )
    scheme, sign, rest = text.partition("://")
    of_0mq = re.fullmatch(r"0mq(\+plain)?(\+ipc)?(\+bind)?", scheme) if sign else None
    plain, ipc, bind = map(bool, of_0mq.groups()) if of_0mq else (False, False, False)
    if of_0mq and not ipc:
        host, colon, port = rest.rpartition(":")
        if (
            colon
            and port.isdecimal()
            and 0 < int(port) < 65536
            and re.fullmatch(r"[\w.-]*|\*|\[[0-9a-fA-F:.]+\]", host)
        ):
            return Address("0mq", f"tcp://{host or LOOPBACK}:{port}", bind, plain=plain)
    elif of_0mq and rest.startswith("/"):
        return Address("0mq", f"ipc://{rest}", bind, plain=plain)
    elif sign and scheme == "kafka":
        brokers, slash, topic = rest.partition("/")
        if slash and re.fullmatch(r"[\w.-]+", topic):
            named = [each if ":" in each else f"{each or LOOPBACK}:9092" for each in brokers.split(",")]
            return Address("kafka", ",".join(named), topic=topic)
    elif sign and scheme in ("tiled+http", "tiled+https") and rest:
        return Address("tiled", text.removeprefix("tiled+"))
    raise ValueError(f"{text!r} is no address: expected {FORMS}")

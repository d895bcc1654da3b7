"""0MQ sockets: bound or connected, with CURVE or without."""

from __future__ import annotations

from functools import cache
from typing import Any

import zmq
from zmq.auth.thread import ThreadAuthenticator

from .address import Address
from .curve import CurveKeys

LINGER_MS = 2000


def open_socket(
    kind: int,
    address: Address,
    keys: CurveKeys | None = None,
    *,
    waiting: int | None = None,
    most_bytes: int | None = None,
) -> zmq.Socket[bytes]:
    """Bind or connect a socket.

    Parameters
    ----------
    kind
        0MQ's, ``zmq.SUB`` for example.
    address
        Where.
    keys
        For CURVE; None is without.
    waiting
        How many messages may wait on this side, in either direction.
    most_bytes
        Who sends a larger message is disconnected.

    Raises
    ------
    OSError
        The address cannot be had.
    """
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
    socket.linger = LINGER_MS
    socket.ipv6 = "[" in address.endpoint
    if waiting is not None:
        socket.set_hwm(waiting)
    if most_bytes is not None:
        socket.maxmsgsize = most_bytes
    try:
        if keys is not None:
            keys.secure(socket, bind=address.bind)
            if address.bind:
                _admit(keys.clients)
        (socket.bind if address.bind else socket.connect)(address.endpoint)
    except zmq.ZMQError as error:
        socket.close()
        raise OSError(f"{address.endpoint}: {error}") from error
    except BaseException:
        socket.close()
        raise
    return socket


@cache
def _authenticator() -> Any:
    authenticator = ThreadAuthenticator(zmq.Context.instance())
    authenticator.start()
    return authenticator


def _admit(clients: str | None) -> None:
    """Say who may connect to the sockets that are bound here: those with a key in the folder, or whoever knows ours."""
    _authenticator().configure_curve(domain="*", location=clients or zmq.auth.CURVE_ALLOW_ANY)

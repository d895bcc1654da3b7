"""0MQ sockets: bound or connected, with CURVE or without."""

from __future__ import annotations

from functools import cache
from typing import Any

import zmq
from zmq.auth import CURVE_ALLOW_ANY
from zmq.auth.thread import ThreadAuthenticator

from .address import Address
from .curve import CurveKeys
from .zmq_peers import Peers

LINGER_MS = 2000
# A host that lost its power says no goodbye: without these, nobody would connect to it again when it is back.
KEEPALIVE_AFTER_S, KEEPALIVE_EVERY_S, KEEPALIVES = 30, 10, 3
DOMAIN = b"diffractogram"


def open_socket(
    kind: int,
    address: Address,
    keys: CurveKeys | None = None,
    *,
    waiting: int | None = None,
    most_bytes: int | None = None,
    peers: Peers | None = None,
) -> zmq.Socket[bytes]:
    """Bind or connect a socket.

    Parameters
    ----------
    kind
        0MQ's, ``zmq.SUB`` for example.
    address
        Where.
    keys
        For CURVE; None is without, as is an address that is ``plain``.
    waiting
        How many messages may wait on this side, in either direction.
    most_bytes
        Who sends a larger message is disconnected.
    peers
        Is to know who is connected.

    Raises
    ------
    OSError
        The address cannot be had.
    """
    if address.plain:
        keys = None
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
    socket.linger = LINGER_MS
    socket.tcp_keepalive = 1
    socket.tcp_keepalive_idle, socket.tcp_keepalive_intvl = KEEPALIVE_AFTER_S, KEEPALIVE_EVERY_S
    socket.tcp_keepalive_cnt = KEEPALIVES
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
                # Should the one who looks at keys be gone, nobody is let in instead of everybody.
                socket.zap_domain = DOMAIN
                socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        if peers is not None:
            peers.watch(socket)
        (socket.bind if address.bind else socket.connect)(address.endpoint)
    except zmq.ZMQError as error:
        socket.close()
        raise OSError(f"{address.endpoint}: {zmq.strerror(error.errno or 0)}") from error
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
    _authenticator().configure_curve(domain=DOMAIN.decode(), location=clients or CURVE_ALLOW_ANY)

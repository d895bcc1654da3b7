"""0MQ's CURVE: who may take part, by keys that the environment brings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PUBLIC, SECRET, SERVER = (f"DIFFRACTOGRAM_CURVE_{which}_KEY" for which in ("PUBLIC", "SECRET", "SERVER"))
CLIENTS = "DIFFRACTOGRAM_CURVE_CLIENTS"


@dataclass(frozen=True, slots=True)
class CurveKeys:
    """Keys as 0MQ takes them.

    Attributes
    ----------
    public, secret
        Our own.
    server
        The public key of whom we connect to.
    clients
        The folder of the public keys of those that may connect to us; None is whoever knows our public key.
    """

    public: bytes
    secret: bytes = field(repr=False)
    server: bytes | None = None
    clients: str | None = None

    def secure(self, socket: Any, *, bind: bool) -> None:
        """Set the keys of a 0MQ socket, before it is bound or connected.

        Raises
        ------
        ValueError
            The server's key is needed and not there.
        """
        socket.curve_publickey, socket.curve_secretkey = self.public, self.secret
        if bind:
            socket.curve_server = True
        elif self.server is None:
            raise ValueError(f"{SERVER} is needed to connect with CURVE")
        else:
            socket.curve_serverkey = self.server


def curve_keys(environment: Mapping[str, str] = os.environ) -> CurveKeys | None:
    """The keys in the environment, each as such or as a file of 0MQ's (``zmq.auth.create_certificates``).

    Returns
    -------
    CurveKeys or None
        None where there are none: nothing is encrypted then.

    Raises
    ------
    ValueError
        Some are missing, or are no keys; the message does not hold them.
    """
    given = {name: environment.get(name, "") for name in (PUBLIC, SECRET, SERVER)}
    if not any(given.values()):
        return None
    both = given[SECRET] if os.path.exists(given[SECRET]) else ""
    public, secret = _key(PUBLIC, given[PUBLIC] or both, 0), _key(SECRET, given[SECRET], 1)
    if public is None or secret is None:
        raise ValueError(f"{PUBLIC} and {SECRET} are needed, or {SECRET} alone with a file that holds both")
    return CurveKeys(public, secret, _key(SERVER, given[SERVER], 0), _folder(environment.get(CLIENTS, "")))


def _folder(given: str) -> str | None:
    # 0MQ would let nobody in, and log it at most.
    if given and not any(Path(given).glob("*.key")):
        raise ValueError(f"{CLIENTS}: {given} is no folder with files of keys")
    return given or None


def _key(name: str, given: str, which: int) -> bytes | None:
    from zmq import auth
    from zmq.utils import z85

    if not given:
        return None
    if os.path.exists(given):
        try:
            return auth.load_certificate(given)[which]
        except (OSError, ValueError) as error:
            raise ValueError(f"{name}: {given} is no file of keys: {error}") from error
    try:
        if len(z85.decode(given.encode())) == 32:
            return given.encode()
    except (ValueError, KeyError, UnicodeEncodeError):
        pass
    raise ValueError(f"{name} is neither a key of 40 characters nor a file that is there")

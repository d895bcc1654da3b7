"""Catalogues by what people call them: tiled's by URI or profile, databroker's by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ..replay.errors import ReplayError

KEY_VARIABLE = "TILED_API_KEY"
"""The environment variable from which tiled takes the key of a server; on a command line others see it."""

_KEY = "api_key"


def open_catalogue(name: str) -> Any:
    """The catalogue called `name`.

    Parameters
    ----------
    name
        A tiled URI; the name of a tiled profile, which databroker 2's catalogues are, with the path of a node in it
        after a slash; or, where databroker 1 is installed, the name of one of its catalogues. A server that wants a
        key is given that in the environment variable ``TILED_API_KEY``.

    Raises
    ------
    ReplayError
        There is none, or it cannot be opened. The message shows no key.
    """
    try:
        return _open_uri(name) if "://" in name else _open_named(name)
    except ReplayError:
        raise
    except Exception as error:  # no server, no access, no such node: each has errors of its own
        raise ReplayError(f"{without_key(name)} cannot be opened ({_told(error, name)})") from None


def without_key(uri: str) -> str:
    """A URI as it may be shown: without key and password."""
    parts = urlsplit(uri)
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name != _KEY])
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query))


def _key_in(uri: str) -> str | None:
    return dict(parse_qsl(urlsplit(uri).query)).get(_KEY)


def _open_uri(uri: str) -> Any:
    try:
        from tiled.client import from_uri
    except ImportError:
        raise ReplayError(f"{without_key(uri)}: {_no_tiled()}") from None
    given = _key_in(uri)
    # As a part of the URI it would be in the request, and so in httpx's log.
    return from_uri(without_key(uri), api_key=given) if given else from_uri(uri)


def _open_named(name: str) -> Any:
    profile, _, path = name.partition("/")
    profiles, brokers = _tiled_profiles(), _databroker_1()
    if profiles is not None and profile in profiles:
        from tiled.client import from_profile

        client = from_profile(profile)
        return client[tuple(path.split("/"))] if path else client
    if brokers is not None and name in list(brokers):
        return brokers[name]
    message = f"{name} is no file, no URI, and no tiled profile"
    message += f" ({_no_tiled()})" if profiles is None else f" (those: {', '.join(profiles) or 'none'})"
    if brokers is not None:
        message += f", nor a catalogue of databroker's (those: {', '.join(brokers) or 'none'})"
    raise ReplayError(message)


def _tiled_profiles() -> list[str] | None:
    try:
        from tiled.profiles import list_profiles
    except ImportError:
        return None
    return list(list_profiles())


def _databroker_1() -> Mapping[str, Any] | None:
    """Its catalogues; those of databroker 2 are tiled's profiles."""
    try:
        if not version("databroker").startswith("1."):
            return None
    except PackageNotFoundError:
        return None
    import databroker

    return databroker.catalog


def _no_tiled() -> str:
    return "tiled is not installed: pip install 'bluesky-diffractogram[tiled]'"


def _told(error: Exception, uri: str) -> str:
    """What went wrong and, where it is the key, what to do."""
    # Not all of what tiled raises is on one line, and no error may show a key that it was given.
    text = " ".join(str(error).split())
    in_uri, in_environment = _key_in(uri), os.environ.get(KEY_VARIABLE)
    for secret in (in_uri, in_environment, urlsplit(uri).password):
        text = text.replace(secret, "…") if secret else text
    # A key that is none by its form is as good as none to tiled.
    if getattr(getattr(error, "response", None), "status_code", None) != 401 and "requires API key" not in text:
        return f"{type(error).__name__}: {text}"
    if in_uri or in_environment:
        return f"the server does not accept the key in {'the URI' if in_uri else KEY_VARIABLE}"
    return f"the server wants a key: give it in the environment variable {KEY_VARIABLE}"

"""What PyPI itself says of packages that pip-audit cannot look up, as where a mirror has no page of every version.

The page of a whole project (https://docs.pypi.org/api/json/) names the known vulnerabilities of its latest version
only, so it tells something of a package that is installed in that version, and of no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

PAGE = "https://pypi.org/pypi/{}/json"


@dataclass(frozen=True)
class Advisories:
    """What was learnt of one package: identifiers of vulnerabilities, or why nothing is known of it."""

    ids: tuple[str, ...] = ()
    unknown: str = ""


def of_packages(versions: Iterable[tuple[str, str]], timeout: float = 15.0) -> dict[str, Advisories]:
    """The advisories of packages, given with their installed versions."""
    with httpx.Client(timeout=timeout, follow_redirects=True) as client, ThreadPoolExecutor(8) as pool:
        pairs = list(versions)
        found = pool.map(lambda pair: _of_package(client, *pair), pairs)
        return {name: each for (name, _), each in zip(pairs, found, strict=True)}


def _of_package(client: httpx.Client, name: str, version: str) -> Advisories:
    try:
        page = client.get(PAGE.format(name)).raise_for_status().json()
        latest, known = page["info"]["version"], page["vulnerabilities"]
        ids = tuple(each["id"] for each in known if not each.get("withdrawn"))
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return Advisories(unknown=str(error).splitlines()[0] or type(error).__name__)
    return Advisories(ids) if latest == version else Advisories(unknown=f"{version} is not the latest, {latest}")

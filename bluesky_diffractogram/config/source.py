"""The dictionary in a JSON string, or in a JSON or YAML file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from .errors import ConfigError

MOST_BY_ALIASES = 10_000
"""So many entries the aliases of a YAML file may add; a few lines of them can stand for a billion."""

_ALLOWED = "a mapping of keys to values, a JSON string, or the path of a .json, .yaml or .yml file"


def read_settings(
    source: Mapping[str, Any] | str | os.PathLike[str], base: str | os.PathLike[str] | None = None
) -> tuple[dict[str, Any], Path | None]:
    """The dictionary that `source` holds, unchecked, and the folder that its relative paths are relative to.

    Parameters
    ----------
    source
        A dictionary, a JSON string (it begins with ``{``), or the path of a ``.json``, ``.yaml`` or ``.yml``
        file.
    base
        The folder for relative paths; a file's own folder if None.

    Returns
    -------
    settings, base
        A dictionary of its own, and the folder; None is the working directory.

    Raises
    ------
    ConfigError
        The file cannot be read, its text cannot be parsed, a key is there twice, or it is no mapping.
    """
    folder = None if base is None else Path(base)
    if isinstance(source, str) and source.lstrip().startswith("{"):
        return _mapping(_parse_json(source, source), source), folder
    if isinstance(source, (str, os.PathLike)):
        path = Path(os.path.expanduser(source))
        parse = _PARSERS.get(path.suffix.lower())
        if parse is None:
            raise ConfigError("configuration", os.fspath(source), _ALLOWED)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise ConfigError(
                "configuration", os.fspath(source), "a file that can be read", f"{path.absolute()}: {why}"
            ) from None
        return _mapping(parse(text, os.fspath(source)), os.fspath(source)), folder or path.absolute().parent
    return _mapping(source, source), folder


def _mapping(content: Any, source: Any) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        reason = "" if content is source else f"it holds {_kind(content)}"
        raise ConfigError("configuration", source, _ALLOWED, reason)
    for key in content:
        if not isinstance(key, str):
            raise ConfigError("configuration", key, "keys that are names", "one of its keys is no text")
    return dict(content)


def _kind(content: Any) -> str:
    if content is None:
        return "nothing"
    if isinstance(content, list):
        return "a list"
    return f"the single value {content!r}"


def _parse_json(text: str, source: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        reason = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except ConfigError:
        raise
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, a thousand brackets
        reason = str(error)
    raise ConfigError("configuration", source, "well-formed JSON", reason)


def _parse_yaml(text: str, source: str) -> Any:
    try:
        content = yaml.load(text, Loader=_Loader)
        written, meant = _entries(content, {})
        if meant > 2 * written + MOST_BY_ALIASES:
            raise ValueError(f"its aliases make {meant} entries of {written}")
        return content
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        reason = f"{where}{error.problem}"
    except ConfigError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
    raise ConfigError("configuration", source, "well-formed YAML", reason)


def _entries(content: Any, known: dict[int, int]) -> tuple[int, int]:
    """How many entries lists and mappings have as they are written, and with aliases written out.

    Parameters
    ----------
    content
        What was read.
    known
        What was counted before, by `id`; 0 where the counting has begun and not ended.

    Raises
    ------
    ValueError
        A list or mapping is an entry of itself.
    """
    if not isinstance(content, (list, dict)):
        return 0, 0
    if id(content) in known:
        if not known[id(content)]:
            raise ValueError("an alias stands for what holds it")
        return 0, known[id(content)]
    known[id(content)] = 0
    entries = content.values() if isinstance(content, dict) else content
    counted = [_entries(entry, known) for entry in entries]
    meant = len(counted) + sum(each for _, each in counted)
    known[id(content)] = max(meant, 1)
    return len(counted) + sum(each for each, _ in counted), meant


_PARSERS: dict[str, Callable[[str, str], Any]] = {
    ".json": _parse_json,
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
}


def _once(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """The pairs as a dictionary, in which no key may be there twice."""
    content: dict[Any, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ConfigError(str(key), value, "each key once", "the key is there twice")
        content[key] = value
    return content


class _Loader(yaml.SafeLoader):
    """YAML with the plain values of YAML 1.2.

    PyYAML follows 1.1, where ``1e-10`` is text and ``no``, a pixel splitting, is false.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        content = super().construct_mapping(node, deep=deep)
        _once([(self.construct_object(key, deep=True), None) for key, _ in node.value])
        return content


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
):
    # int before float: the first pattern that fits decides; 010 is 10.0, not PyYAML's octal 8
    _letters = ["" if letter == "\0" else letter for letter in _first]
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _letters)

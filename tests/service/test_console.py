"""What a person sees of what the library says."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import bluesky_diffractogram
from bluesky_diffractogram.service.console import _OPTIONS, in_options, package_log

PACKAGE = Path(bluesky_diffractogram.__file__).parent


@pytest.mark.parametrize("argument", _OPTIONS)
def test_the_library_says_what_is_put_into_options(argument: str) -> None:
    texts = (path.read_text() for path in PACKAGE.rglob("*.py") if path.name != "console.py")
    assert any(argument in text for text in texts)


def test_logged_messages_and_others_name_options() -> None:
    said: list[tuple[str, str]] = []
    with package_log(lambda *pair: said.append(pair)):
        message = "if the files were moved, say where they are now with root_map={there: here}"
        logging.getLogger("bluesky_diffractogram.replay").error(message)
    expected = "if the files were moved, say where they are now with --root-map THERE=HERE"
    assert said == [("error", expected)]
    assert in_options("nothing of the kind") == "nothing of the kind"

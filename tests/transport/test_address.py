"""Addresses as they are written."""

from __future__ import annotations

import pytest

from bluesky_diffractogram.transport.address import parse_address


@pytest.mark.parametrize(
    ("text", "endpoint", "bind", "local"),
    [
        ("0mq://127.0.0.1:5578", "tcp://127.0.0.1:5578", False, True),
        ("0mq://:5578", "tcp://127.0.0.1:5578", False, True),
        ("0mq://localhost:1", "tcp://localhost:1", False, True),
        ("0mq+bind://:5577", "tcp://127.0.0.1:5577", True, True),
        ("0mq+bind://*:5577", "tcp://*:5577", True, False),
        ("0mq://proxy.beamline:65535", "tcp://proxy.beamline:65535", False, False),
        ("0mq://[::1]:5578", "tcp://[::1]:5578", False, True),
        ("0mq+plain://:5578", "tcp://127.0.0.1:5578", False, True),
        ("0mq+plain+bind://*:5578", "tcp://*:5578", True, False),
        ("0mq+plain+ipc:///run/docs", "ipc:///run/docs", False, True),
        ("0mq+ipc:///run/docs", "ipc:///run/docs", False, True),
        ("0mq+ipc+bind:///run/docs", "ipc:///run/docs", True, True),
        ("kafka://127.0.0.1:9092/runs", "127.0.0.1:9092", False, True),
        ("kafka://one,two:9093/run.docs", "one:9092,two:9093", False, False),
        ("kafka://127.0.0.1,localhost:9093/runs", "127.0.0.1:9092,localhost:9093", False, True),
        ("kafka://127.0.0.1,elsewhere/runs", "127.0.0.1:9092,elsewhere:9092", False, False),
        ("0mq+bind://0.0.0.0:5577", "tcp://0.0.0.0:5577", True, False),
        ("kafka:///runs", "127.0.0.1:9092", False, True),
        ("tiled+http://127.0.0.1:8000/api", "http://127.0.0.1:8000/api", False, True),
        ("tiled+https://tiled.site", "https://tiled.site", False, False),
    ],
)
def test_addresses_that_there_are(text, endpoint, bind, local):
    address = parse_address(text)
    assert (address.endpoint, address.bind, address.local) == (endpoint, bind, local)
    assert address.plain == ("plain" in text)


@pytest.mark.parametrize(
    "text",
    ["", "5578", "127.0.0.1:5578", "0mq://", "0mq://host", "0mq://host:0", "0mq://host:99999", "0mq://host:x",
     "0mq://a b:5", "tcp://host:5", "0mq+ipc://relative", "kafka://host:9092", "kafka://host/a b", "tiled+ftp://x",
     "tiled+http://", "0mq://host:5/x", "0mq+bind+plain://:5", "0mq+plain:///run/docs", "0mqx://:5"],
)  # fmt: skip
def test_what_is_none_is_refused_with_the_forms_that_there_are(text):
    with pytest.raises(ValueError, match=r"0mq://HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize(
    "text", ["tiled+http://me:hidden@tiled.site", "tiled+https://tiled.site/api?api_key=hidden", "kafka://a:hidden@b/t",
             "0mq://me:hidden@host:1", "nonsense://x:hidden@y"],
)  # fmt: skip
def test_a_secret_on_a_command_line_is_refused_and_not_shown(text):
    with pytest.raises(ValueError, match="environment") as error:
        parse_address(text)
    assert "hidden" not in str(error.value)

"""Addresses on this machine that nobody uses."""

from __future__ import annotations

import pytest

from bluesky_diffractogram.transport.address import parse_address


@pytest.fixture
def address(free_port):
    """An address to bind, and the same one to connect to."""
    port = free_port()
    return parse_address(f"0mq+bind://127.0.0.1:{port}"), parse_address(f"0mq://127.0.0.1:{port}")

"""A small beamline with its callback and device."""

from __future__ import annotations

import pytest
from documents.conftest import Collected
from steered import Steered


@pytest.fixture
def steered(tmp_path):
    """A RunEngine with the callback subscribed, and the device."""
    session = Steered(tmp_path)
    yield session
    session.close()


@pytest.fixture
def collected():
    return Collected()

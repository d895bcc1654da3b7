"""A calibration file for configurations to name; config looks only whether it is there."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def poni(tmp_path: Path) -> Path:
    path = tmp_path / "setup.poni"
    path.write_text("poni_version: 2\n")
    return path

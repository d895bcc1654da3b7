"""Views are drawn without a display, and what goes wrong in a callback is raised instead of logged."""

from __future__ import annotations

import matplotlib
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def raising_callbacks(monkeypatch):
    """bluesky's "safe" callbacks swallow exceptions unless this is set."""
    monkeypatch.setenv("BLUESKY_DEBUG_CALLBACKS", "1")


@pytest.fixture
def live_backend():
    """A backend whose windows are nowhere and whose timers fire when the test says so."""
    import fake_live_backend
    from matplotlib import pyplot as plt

    plt.switch_backend("module://fake_live_backend")
    yield fake_live_backend
    plt.close("all")
    plt.switch_backend("Agg")
    fake_live_backend.TIMERS.clear()

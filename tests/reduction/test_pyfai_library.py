"""What is asked of pyFAI."""

from __future__ import annotations

import gc

import pyFAI
import pytest

from bluesky_diffractogram.reduction import pyfai_library


def test_it_loads_what_pyfai_loads_without_collecting_garbage(poni, monkeypatch):
    expected = pyFAI.load(str(poni))
    monkeypatch.setattr(gc, "collect", lambda *_: pytest.fail("garbage is collected"))
    found = pyfai_library.load_integrator(poni)
    assert type(found) is type(expected)
    assert found.get_config() == expected.get_config()
    found.wavelength = 0.5e-10
    pyfai_library.copied(found).reset()


def test_what_sets_numexprs_threads_is_imported_before_pyfai_computes(poni, monkeypatch):
    """Set while pyFAI computes in another thread, as `import databroker` does, they never are."""
    imported = []

    def import_module(name):
        imported.append(name)
        raise ImportError(name)

    pyfai_library._settle_numexpr.cache_clear()
    monkeypatch.setattr(pyfai_library, "import_module", import_module)
    pyfai_library.load_integrator(poni)
    pyfai_library.load_integrator(poni)
    assert imported == ["blosc2"]

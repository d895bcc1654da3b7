"""Compiled code where nothing can be kept."""

from __future__ import annotations

import pytest

from bluesky_diffractogram.reduction import compiled as module


def twice(x):
    return 2 * x


def test_a_function_is_compiled_and_kept():
    function = module.compiled(twice)
    assert function(21) == 42
    assert type(function._cache).__name__ == "FunctionCache"


def test_without_a_folder_to_keep_it_in_it_is_compiled_all_the_same(monkeypatch):
    """As in a service of systemd's with ``ProtectSystem=strict`` and no cache folder."""
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    monkeypatch.setattr("numba.core.caching.CodeLibraryCacheImpl._locator_classes", [], raising=False)
    monkeypatch.setattr("numba.core.caching.CompileResultCacheImpl._locator_classes", [], raising=False)
    with pytest.raises(RuntimeError, match="no locator"):
        module.njit(cache=True)(twice)
    assert module.compiled(twice)(21) == 42

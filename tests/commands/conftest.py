from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the tests' own, so that none finds an image that an earlier run left."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("DERMAFED_CACHE", str(folder))
    return folder

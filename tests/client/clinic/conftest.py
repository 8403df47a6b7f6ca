from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dermafed.client.clinic.store.store import Store, open_store
from dermafed.client.node.home import Home
from tests.client.clinic.store.samples import home as make


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    return make(tmp_path)


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with open_store(home, 30) as opened:
        yield opened

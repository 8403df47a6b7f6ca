from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from client.home import Home
from client.store import Store, open_store
from tests.store.making import home as make


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    return make(tmp_path)


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with open_store(home, 30) as opened:
        yield opened

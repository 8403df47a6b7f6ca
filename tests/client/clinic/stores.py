"""A clinic's store in a test's own folder, and its diagnoses."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.store.store import Store, open_store
from dermafed.client.node.home import Home
from dermafed.shared.errors import StorageError


def new_store(folder: Path) -> Store:
    """The store of a clinic whose folder this is; it is made where there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    return open_store(Home(folder))


def saved_today(store: Store) -> list[Diagnosis]:
    """Today's diagnoses, newest first."""
    return store.list_day(date.today())


def fill_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every saving of a diagnosis fail, with an error that names a place."""

    def fail(*_: object) -> None:
        raise StorageError("Cannot write: No space left on device", where="/secret/place")

    monkeypatch.setattr(store, "save", fail)

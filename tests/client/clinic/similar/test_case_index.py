"""The index's file: private, of one model, whole or nothing."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest

from dermafed.client.clinic.similar.case_index import CaseIndex, load_index
from dermafed.client.node.home import Home
from dermafed.client.node.reviewed import CASE_INDEX, ReviewedRow, add_reviewed, remove_reviewed
from dermafed.shared.errors import StorageError
from tests.client.clinic.similar.cases import MODEL, index


def test_it_is_read_as_it_was_saved_and_others_cannot(tmp_path: Path) -> None:
    saved, path = index(), tmp_path / "similar.npz"
    saved.save(path)
    found = load_index(path, MODEL)
    assert found is not None
    assert found.cases == saved.cases
    assert np.array_equal(found.features, saved.features)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_one_of_another_model_is_none(tmp_path: Path) -> None:
    index().save(tmp_path / "similar.npz")
    assert load_index(tmp_path / "similar.npz", "cd" * 32) is None


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "rows", "nan", "text"])
def test_a_damaged_one_is_none(tmp_path: Path, damage: str) -> None:
    path, saved = tmp_path / "similar.npz", index()
    saved.save(path)
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "rows":
        CaseIndex(MODEL, saved.cases[1:], saved.features).save(path)
    elif damage == "nan":
        CaseIndex(MODEL, saved.cases, saved.features * np.float32("nan")).save(path)
    else:
        path.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "text": b"no index"}[damage])
    assert load_index(path, MODEL) is None


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        index().save(tmp_path / "missing" / "similar.npz")


def test_it_goes_when_a_reviewed_case_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    home = Home(tmp_path)
    assert home.reviewed.with_name(CASE_INDEX) == home.similar
    add_reviewed(home.reviewed, ReviewedRow("a", "l", "", "nevus", "", "", "", ""), ".png", b"pixels")
    index().save(home.similar)
    remove_reviewed(home.reviewed, "unknown")
    assert home.similar.exists()
    remove_reviewed(home.reviewed, "a")
    assert not home.similar.exists()

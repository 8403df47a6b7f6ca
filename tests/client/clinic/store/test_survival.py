"""What a clinic has diagnosed survives a lost database, a wrong clock and a damaged row."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from dermafed.client.cli import main
from dermafed.client.clinic.store.opinions import Opinion
from dermafed.client.clinic.store.retention import ClockJump
from dermafed.client.clinic.store.store import Store, open_store
from dermafed.client.node.home import Home
from dermafed.shared.errors import StorageError
from tests.client.clinic.store.samples import all_bytes, save_one
from tests.commands.small_datasets import command

FAR = datetime(2099, 1, 1, tzinfo=UTC)


def names(home: Home) -> set[str]:
    return {path.name for path in (home.store / "files").iterdir()}


def empty(database: Path) -> None:
    database.write_bytes(b"")


def no_rows(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("DELETE FROM diagnoses")


def no_tables(database: Path) -> None:
    database.unlink()
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("CREATE TABLE other (x)")


@pytest.mark.parametrize("lose", [empty, no_rows, no_tables, Path.unlink])
def test_images_beside_a_lost_database_stay_and_the_store_does_not_open(
    home: Home, store: Store, lose: object
) -> None:
    save_one(store)
    store.close()
    before = names(home)
    lose(home.store / "store.sqlite")  # type: ignore[operator]
    for _ in range(2):
        with pytest.raises(StorageError, match=r"missing|empty") as caught:
            open_store(home, 30)
        assert "fl-client restore" in caught.value.remedy
    assert names(home) == before


def test_an_empty_database_with_a_log_is_not_a_new_one(home: Home, store: Store) -> None:
    store.close()
    (home.store / "store.sqlite").write_bytes(b"")
    log = home.store / "store.sqlite-wal"
    log.write_bytes(b"rows")
    with pytest.raises(StorageError, match="empty"):
        open_store(home, 30)
    assert log.read_bytes() == b"rows"


def test_an_old_copy_of_the_database_removes_no_later_image(home: Home, store: Store, tmp_path: Path) -> None:
    save_one(store, 1)
    store.close()
    shutil.copy2(home.store / "store.sqlite", tmp_path / "old.sqlite")
    with open_store(home, 30) as later:
        save_one(later, 2)
    shutil.copy2(tmp_path / "old.sqlite", home.store / "store.sqlite")
    before = names(home)
    open_store(home, 30).close()
    assert names(home) == before


def test_what_was_half_written_is_removed_and_what_was_not_yet_named_is_named(
    home: Home, store: Store
) -> None:
    made = save_one(store)
    files = home.store / "files"
    (files / f"{made.id}.image").rename(files / f"{made.id}.image.part")
    assert store.load_image(made.id).any()
    (files / f"{'0' * 32}.image.part").write_bytes(b"half")
    open_store(home, 30).close()
    assert names(home) == {f"{made.id}.image", f"{made.id}.prepared"}


def test_a_clock_that_jumps_asks_before_anything_is_removed(home: Home, store: Store) -> None:
    made = save_one(store)
    with pytest.raises(ClockJump, match="2099-01-01") as caught:
        store.expire(FAR)
    assert "--clock-is-right" in caught.value.remedy
    assert store.load_image(made.id).any()
    save_one(store, 2, time=FAR.isoformat(timespec="milliseconds"))  # does not confirm the clock
    with pytest.raises(ClockJump):
        store.expire(FAR)
    assert store.expire(FAR, confirmed=True) == 1


def test_a_store_of_an_earlier_version_asks_by_its_newest_record(home: Home, store: Store) -> None:
    save_one(store)
    with store._vault.database.writing() as db:
        db.execute("DELETE FROM about WHERE name = 'clock'")
    with pytest.raises(ClockJump):
        store.expire(FAR)


def test_a_node_in_use_never_asks(store: Store) -> None:
    save_one(store)
    now = datetime.now(UTC)
    assert sum(store.expire(now + timedelta(days)) for days in range(0, 90, 30)) == 1


def test_a_clock_that_was_set_back_is_watched_again(store: Store) -> None:
    now = datetime.now(UTC)
    store.expire(FAR, confirmed=True)
    made = save_one(store)
    assert store.expire(now) == 0
    with pytest.raises(ClockJump):
        store.expire(FAR)
    assert store.load_image(made.id).any()


@pytest.fixture
def years_later(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return FAR

    monkeypatch.setattr("dermafed.client.clinic.store.store.datetime", Later)


def test_a_start_in_another_century_removes_nothing(home: Home, store: Store, years_later: None) -> None:
    made = save_one(store)
    with open_store(home, 30) as opened:
        assert opened.load_image(made.id).any()


def damage(store: Store, table: str, value: object = b"x" * 50) -> None:
    with store._vault.database.writing() as db:
        db.execute(f"UPDATE {table} SET content = ? WHERE rowid = 1", (value,))


@pytest.mark.parametrize("value", [b"x" * 50, b"", "text", 7])
def test_a_damaged_row_fails_no_other(store: Store, value: object) -> None:
    first, second = (save_one(store, seed) for seed in (1, 2))
    for each in (first, second):
        store.add_opinion(each.id, Opinion("dr", False, "melanoma"))
    damage(store, "diagnoses", value)
    assert store.list_day(date.today()) == [second]
    assert store.list_damaged(date.today()) == [first.id]
    assert [each.diagnosis for each in store.list_pending()] == [second]
    with pytest.raises(StorageError):
        store.load(first.id)
    assert store.expire(datetime.now(UTC) + timedelta(31)) == 2
    store.forget(first.id)
    assert store.list_damaged(date.today()) == []


def test_a_damaged_opinion_fails_no_other_and_teaches_nothing(
    home: Home, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (save_one(store, seed) for seed in (1, 2))
    for each in (first, second):
        store.add_opinion(each.id, Opinion("dr", False, "melanoma"))
    damage(store, "events")
    assert [each.diagnosis for each in store.list_pending()] == [second]
    shown = command(main, capsys, "diagnoses", "--dir", home.folder)
    assert shown.code == 0
    assert "cannot be read" in shown.out
    assert "dr says melanoma" in shown.out
    assert store.expire(datetime.now(UTC) + timedelta(31)) == 2


@pytest.mark.parametrize("day", [date.max, date.min])
def test_the_first_and_the_last_day_are_empty(store: Store, day: date) -> None:
    assert store.list_day(day) == store.list_damaged(day) == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_a_store_is_private_under_any_umask(home: Home, umask: int) -> None:
    before = os.umask(umask)
    try:
        with open_store(home, 30) as store:
            save_one(store)
            paths = [path for path in home.store.rglob("*") if path.is_file() and path.name != ".lock"]
            modes = {path.name: oct(path.stat().st_mode & 0o777) for path in paths}
    finally:
        os.umask(before)
    assert set(modes.values()) == {"0o600"}, modes


def back_up(home: Home, folder: Path) -> Path:
    folder.mkdir()
    source, target = sqlite3.connect(home.store / "store.sqlite"), sqlite3.connect(folder / "store.sqlite")
    with closing(source) as db, closing(target) as copy:
        db.backup(copy)
    shutil.copytree(home.store / "files", folder / "files")
    return folder


def restore(home: Home, capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    outcome = command(main, capsys, "restore", *arguments, "--dir", home.folder)
    return outcome.code, outcome.out + outcome.err


def test_a_backup_is_restored_as_the_documents_say(
    home: Home, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = save_one(store, 1), save_one(store, 2)
    object_ = store.quarantine(b"DICM", "burned-in", "camera")
    safe = shutil.copy2(home.store / "store.key", tmp_path / "store.key")
    backup = back_up(home, tmp_path / "backup")
    store.forget(second.id)
    third = save_one(store, 3)
    store.close()
    code, out = restore(home, capsys, backup, "--key", safe)
    assert code == 0
    assert "Restored 1 diagnoses" in out
    assert "1 that were forgotten" in out
    with open_store(home, 30) as restored:
        assert restored.load(first.id) == first
        assert restored.load_image(first.id).any()
        assert restored.load_quarantined(object_) == b"DICM"
        assert second.id in restored.list_forgotten()
    (before,) = home.folder.glob("store.before-*")
    assert (before / "files" / f"{third.id}.image").exists()


def test_a_database_alone_is_restored_beside_its_images(
    home: Home, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = save_one(store)
    backup = back_up(home, tmp_path / "backup")
    shutil.rmtree(backup / "files")
    store.close()
    (home.store / "store.sqlite").write_bytes(b"")
    assert restore(home, capsys, backup)[0] == 0
    with open_store(home, 30) as restored:
        assert restored.load_image(made.id).any()


def test_a_backup_that_cannot_be_used_changes_nothing(
    home: Home, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = save_one(store)
    backup = back_up(home, tmp_path / "backup")
    other = tmp_path / "other.key"
    other.write_text("00" * 32)
    store.close()
    before = all_bytes(home.store)
    damaged = shutil.copytree(backup, tmp_path / "damaged")
    (damaged / "store.sqlite").write_bytes((backup / "store.sqlite").read_bytes()[:5000])
    blank = shutil.copytree(backup, tmp_path / "blank")
    (blank / "store.sqlite").write_bytes(b"")
    for arguments in ((tmp_path,), (damaged,), (blank,), (backup, "--key", other), (backup, "--key", "none")):
        code, out = restore(home, capsys, *arguments)
        assert code == 2, out
        assert "Traceback" not in out
    assert all_bytes(home.store) == before
    assert not list(home.folder.glob("store.*"))
    with open_store(home, 30) as opened:
        assert opened.load(made.id) == made


def test_an_interrupted_restore_makes_no_new_store(home: Home, store: Store) -> None:
    store.close()
    home.store.rename(home.folder / "store.restoring")
    with pytest.raises(StorageError, match="interrupted"):
        open_store(home, 30)


def test_expire_asks_by_name(home: Home, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    save_one(store, time="2020-01-01T00:00:00.000+00:00")
    with store._vault.database.writing() as db:
        db.execute("DELETE FROM about WHERE name = 'clock'")
        db.execute("UPDATE diagnoses SET made = ?", (1_577_836_800_000,))
    store.close()
    refused = command(main, capsys, "expire", "--dir", home.folder)
    assert refused.code == 2
    assert "--clock-is-right" in refused.err
    assert "1 have expired" in command(main, capsys, "expire", "--clock-is-right", "--dir", home.folder).err

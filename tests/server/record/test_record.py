"""The record: what it stores, and that two processes may write it at once."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from dermafed.server.record.clinics_table import enrol, list_clinics, list_unseen, revoke, save_online
from dermafed.server.record.record_database import Record
from dermafed.server.record.rounds_table import list_answers, list_rounds, save_answer, save_round
from dermafed.server.record.runs_table import NewRun, Status, add_run, change_status, find_run, list_runs
from dermafed.server.rounds.history import HistoryRow
from dermafed.shared.errors import InputError, SettingsError, StorageError


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record.create(tmp_path / "record.db")


def asked(name: str) -> NewRun:
    return NewRun(name, "plan", Path("plan.toml"), ("graz",), "offer", "hash", 3)


def row(number: int, score: float = 0.5) -> HistoryRow:
    return HistoryRow(number, 1.0, 1.0, 0.5, score, float("nan"), 2, "", 3.0, 0.1)


def test_only_the_owner_reads_it_or_what_sqlite_puts_beside_it(record: Record) -> None:
    with record.writing() as db:
        db.execute("INSERT INTO clinics (name, key, enrolled) VALUES ('a', 'b', 'c')")
        files = list(record.path.parent.iterdir())
        assert {path.name for path in files} == {"record.db", "record.db-wal", "record.db-shm"}
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)


def test_a_failed_transaction_leaves_nothing(record: Record) -> None:
    with suppress(ZeroDivisionError), record.writing() as db:
        db.execute("INSERT INTO clinics (name, key, enrolled) VALUES ('a', 'b', 'c')")
        raise ZeroDivisionError
    assert list_clinics(record) == []


def test_one_key_a_clinic_and_one_clinic_a_key(record: Record) -> None:
    assert enrol(record, "graz", "key 1")
    assert not enrol(record, "graz", "key 1")
    with pytest.raises(SettingsError, match="another key"):
        enrol(record, "graz", "key 2")
    with pytest.raises(SettingsError, match="belongs to the clinic 'graz'"):
        enrol(record, "linz", "key 1")
    assert [(clinic.name, clinic.key) for clinic in list_clinics(record)] == [("graz", "key 1")]


def test_a_revoked_key_stays_revoked_but_its_clinic_may_get_another(record: Record) -> None:
    enrol(record, "graz", "key 1")
    revoke(record, "graz")
    with pytest.raises(SettingsError, match="was revoked on"):
        enrol(record, "graz", "key 1")
    with pytest.raises(SettingsError, match="no enrolled clinic 'graz'"):
        revoke(record, "graz")
    enrol(record, "graz", "key 2")
    assert [clinic.key for clinic in list_clinics(record, revoked=False)] == ["key 2"]
    assert len(list_clinics(record)) == 2


def test_a_clinic_that_stays_online_has_its_first_time(record: Record) -> None:
    enrol(record, "graz", "key 1")
    enrol(record, "linz", "key 2")
    save_online(record, {"graz"})
    since = list_clinics(record)[0].online
    assert since is not None
    save_online(record, {"graz", "linz"})
    assert list_clinics(record)[0].online == since
    save_online(record, {"linz"})
    assert [clinic.online is None for clinic in list_clinics(record)] == [True, False]


def test_what_stays_as_it_is_is_not_written_again(record: Record) -> None:
    enrol(record, "graz", "key 1")
    with record.changes() as changed:
        assert (changed(), changed()) == (True, False)  # nobody has asked before
        save_online(record, {"graz"})
        assert (changed(), changed()) == (True, False)
        save_online(record, {"graz", "a stranger"})
        assert not changed()
        save_online(record, set())
        assert changed()


def test_a_clinic_that_was_ever_connected_is_no_pending_invitation(record: Record) -> None:
    for name, key in (("graz", "key 1"), ("linz", "key 2"), ("wels", "key 3")):
        enrol(record, name, key)
    assert list_unseen(record) == {"graz", "linz", "wels"}
    save_online(record, {"graz", "wels"})
    save_online(record, set())
    revoke(record, "wels")
    assert list_unseen(record) == {"linz"}
    enrol(record, "wels", "key 4")  # invited anew
    assert list_unseen(record) == {"linz", "wels"}


def test_a_run_is_found_by_number_and_name_and_a_name_wins(record: Record) -> None:
    first, second = add_run(record, asked("2")), add_run(record, asked("spring"))
    assert (find_run(record, "1").name, find_run(record, "spring").number) == ("2", second)
    assert find_run(record, "2").number == first
    for unknown in ("3", "", "x", "²", "9" * 40):
        with pytest.raises(SettingsError, match="There is no run"):
            find_run(record, unknown)
    with pytest.raises(SettingsError, match="a run 'spring' already"):
        add_run(record, asked("spring"))


def test_a_move_happens_once_and_only_from_the_given_status(record: Record) -> None:
    number = add_run(record, asked("spring"))
    assert change_status(record, number, [Status.ASKED], Status.AGREEING)
    assert not change_status(record, number, [Status.ASKED], Status.AGREEING)
    assert change_status(record, number, [Status.AGREEING], Status.PAUSED, "why")
    run = find_run(record, "spring")
    assert (run.status, run.why) == (Status.PAUSED, "why")
    assert run.started is not None
    assert run.ended is not None


def test_the_last_attempt_of_a_round_counts(record: Record) -> None:
    number = add_run(record, asked("spring"))
    for each in (row(1), row(2, 0.1), row(2, 0.9)):
        save_round(record, number, each)
    rounds = list_rounds(record, number)
    assert [metrics["validation_balanced_accuracy"] for metrics in rounds] == [0.5, 0.9]
    assert rounds[0]["validation_auc"] is None
    assert find_run(record, "spring").rounds_done == 2


def test_an_answer_is_the_last_one(record: Record) -> None:
    number = add_run(record, asked("spring"))
    save_answer(record, number, "graz", "waiting", "someone there has to approve it")
    save_answer(record, number, "graz", "approved", "")
    assert list_answers(record, number)["graz"].decision == "approved"


def _write_many(path: Path, name: str) -> None:
    for i in range(10):
        enrol(Record(path), f"{name}{i}", f"key {name}{i}")
        add_run(Record(path), asked(f"{name}{i}"))


def test_two_processes_write_at_once(record: Record) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_many, args=(record.path, name)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(list_clinics(record)) == 20
    assert sorted(run.number for run in list_runs(record)) == list(range(1, 21))


def test_a_run_is_started_by_one_of_two_processes(record: Record) -> None:
    for number in range(20):
        add_run(record, asked(f"run{number}"))

    def take(_: int) -> list[int]:
        return [n for n in range(1, 21) if change_status(record, n, [Status.ASKED], Status.AGREEING)]

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(take, range(2))
    assert sorted([*first, *second]) == list(range(1, 21))


def fill(folder: Path) -> None:
    with (folder / "ballast").open("ab", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")
def test_a_full_disk_is_named_and_an_open_record_can_be_read(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", tmp_path]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        record = Record.create(tmp_path / "record.db")
        with record.stay_open():
            fill(tmp_path)
            assert list_runs(record) == []
        fill(tmp_path)
        with pytest.raises(StorageError, match=r"the disk is full .* Free some disk space"):
            list_runs(record)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_damage_a_missing_file_and_another_version_are_named(record: Record, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="File exists"):
        Record.create(record.path)
    with sqlite3.connect(record.path) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(InputError, match="has version 9"):
        list_runs(record)
    (tmp_path / "junk.db").write_bytes(b"junk" * 500)
    with pytest.raises(StorageError, match="not a database"):
        list_runs(Record(tmp_path / "junk.db"))
    with pytest.raises(StorageError, match="unable to open"):
        list_runs(Record(tmp_path / "none.db"))
    assert not (tmp_path / "none.db").exists()

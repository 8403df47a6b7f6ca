"""The coordinator's commands on a federation's folder, without a server."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dermafed.server import cli
from dermafed.server.coordinator.query_answers import QueryAnswers, save_answers
from dermafed.server.dashboard.run_facts import run_facts
from dermafed.server.record.queries_table import Query
from dermafed.server.record.record_database import Record, now
from dermafed.server.record.rounds_table import save_answer, save_round
from dermafed.server.record.runs_table import Status, change_status, find_run
from dermafed.server.rounds.checkpoint import RunState, load_state, save_state
from dermafed.server.rounds.history import HistoryRow, write_history
from dermafed.server.rounds.open_exchange import OpenExchange, Turn, save_exchange
from dermafed.shared.protocol.invitation import read_invitation
from dermafed.shared.storage.lock import lock_folder
from tests.commands.small_datasets import Outcome, command
from tests.server.example_keys import KEY, KEY_FINGERPRINT, P256
from tests.shared.counts.sample_lesions import sample_counts
from tests.shared.counts.sample_months import sample_months

PLAN = 'name = "spring"\nrounds = 4\nweights = "none"\n[model]\nimage_size = 32\n'


class Coordinator:
    """Types commands in a folder of their own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def __call__(self, *arguments: object) -> Outcome:
        return command(cli.main, self._capsys, *arguments)

    def json(self, *arguments: object) -> dict[str, Any]:
        done = self(*arguments, "--json")
        assert done.code == 0, done.err
        return dict(json.loads(done.out))


@pytest.fixture
def fl_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Coordinator:
    """With a federation in ``alps`` that is the current folder."""
    run = Coordinator(tmp_path / "alps", capsys)
    assert run("init", run.folder, "--host", "derma.example.org", "--host", "10.0.0.1").code == 0
    monkeypatch.chdir(run.folder)
    (tmp_path / "graz.pub").write_text(f"{KEY} someone@graz\n")
    (tmp_path / "spring.toml").write_text(PLAN)
    return run


def test_init_makes_a_closed_folder(fl_server: Coordinator) -> None:
    modes = {
        str(path.relative_to(fl_server.folder)): path.stat().st_mode & 0o777
        for path in (fl_server.folder, *fl_server.folder.rglob("*"))
    }
    assert modes == {
        **dict.fromkeys((".", "trust", "runs"), 0o700),
        **dict.fromkeys(("server.toml", "record.db", "trust/ca.key", "trust/ca.pem"), 0o600),
        **dict.fromkeys(("trust/server.key", "trust/server.pem"), 0o600),
    }


def test_init_refuses_a_folder_in_use_and_impossible_settings(fl_server: Coordinator, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in fl_server.folder.rglob("*") if path.is_file()}
    assert fl_server("init", fl_server.folder, "--host", "a").code == 2
    assert {path: path.read_bytes() for path in before} == before
    for arguments in (
        ("--host", "a b"),
        ("--host", "a", "--port", "0"),
        ("--host", "a", "--name", "x/y"),
        (),
    ):
        assert fl_server("init", tmp_path / "new", *arguments).code == 2
        assert not (tmp_path / "new").exists()


def test_enrol_writes_an_invitation_that_a_clinic_can_read(fl_server: Coordinator) -> None:
    output = fl_server.json("enrol", "graz", "../graz.pub")
    assert output["key_fingerprint"] == KEY_FINGERPRINT
    invitation = read_invitation(Path(output["invitation"]))
    assert (invitation.federation, invitation.clinic) == ("alps", "graz")
    assert (invitation.address, invitation.key_fingerprint) == ("derma.example.org:9443", KEY_FINGERPRINT)
    assert invitation.ca_pem == Path("trust/ca.pem").read_text()
    assert fl_server("enrol", "graz", "../graz.pub").code == 0  # once more is the same
    (row,) = fl_server.json("clinics")["clinics"]
    assert (row["name"], row["key_fingerprint"], row["revoked"]) == ("graz", KEY_FINGERPRINT, None)
    assert "someone" not in Path("record.db").read_bytes().decode("latin-1")


def test_enrol_refuses_files_that_are_not_keys_and_overwrites_nothing(
    fl_server: Coordinator, tmp_path: Path
) -> None:
    (tmp_path / "other.pub").write_text(P256)
    (tmp_path / "notes.txt").write_text("dear")
    for arguments in (
        ("graz", "../other.pub"),
        ("graz", "../none.pub"),
        ("../graz", "../graz.pub"),
        ("graz", "../graz.pub", "--out", "../notes.txt"),
        ("graz", "../graz.pub", "--dir", ".."),
    ):
        done = fl_server("enrol", *arguments)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("Error: ")
    assert (tmp_path / "notes.txt").read_text() == "dear"
    assert fl_server.json("clinics")["clinics"] == []


def test_revoke_is_shown_and_final(fl_server: Coordinator) -> None:
    fl_server("enrol", "graz", "../graz.pub")
    assert fl_server("revoke", "graz").code == 0
    assert fl_server("revoke", "graz").code == 2
    assert fl_server.json("clinics")["clinics"][0]["revoked"]
    done = fl_server("enrol", "graz", "../graz.pub")
    assert done.code == 2
    assert "was revoked" in done.err


def test_train_prints_the_plan_and_asks(fl_server: Coordinator) -> None:
    done = fl_server("train", "../spring.toml")
    assert (done.code, "No clinic is enrolled" in done.err) == (2, True)
    fl_server("enrol", "graz", "../graz.pub")
    output = fl_server.json("train", "../spring.toml")
    assert (output["number"], output["clinics"], output["rules"]["approval"]) == (1, ["graz"], "1d")
    run = find_run(Record(Path("record.db")), "spring")
    assert (run.status, run.plan, run.hash) == (Status.ASKED, PLAN, output["hash"])
    done = fl_server("train", "../spring.toml")
    assert (done.code, "a run 'spring' already" in done.err) == (2, True)


def test_train_names_clinics_that_are_not_enrolled_and_a_quorum_beyond_them(
    fl_server: Coordinator, tmp_path: Path
) -> None:
    fl_server("enrol", "graz", "../graz.pub")
    for lines, output in (
        ('clinics = ["graz", "linz"]', "Not enrolled: linz"),
        ("rules.quorum = 2", "quorum is 2"),
    ):
        (tmp_path / "plan.toml").write_text(f'name = "p"\nweights = "none"\n{lines}\n')
        done = fl_server("train", "../plan.toml")
        assert (done.code, output in done.err) == (2, True), done.err
    assert fl_server.json("runs")["runs"] == []


@pytest.fixture
def trained(fl_server: Coordinator) -> Coordinator:
    """A run of two rounds that paused."""
    fl_server("enrol", "graz", "../graz.pub")
    fl_server("train", "../spring.toml")
    record = Record(Path("record.db"))
    folder = Path("runs/0001-spring")
    folder.mkdir()
    history: tuple[HistoryRow, ...] = ()
    save_state(folder, RunState(0, np.zeros(10, np.float32), {}, (), {}))
    for number, score in ((1, 0.7), (2, 0.6)):
        row = HistoryRow(number, 1.5, 1.0, 0.5, score, math.nan, 1, "linz: no reply", 3.0, 0.1)
        history = (*history, row)
        save_state(folder, RunState(number, np.full(10, number, np.float32), {}, history, {}))
        save_round(record, 1, row)
    write_history(folder, history)
    save_answer(record, 1, "graz", "approved", "")
    change_status(record, 1, [Status.ASKED], Status.RUNNING)
    change_status(record, 1, [Status.RUNNING], Status.PAUSED, "Round 3 got 0 replies")
    return fl_server


def test_status_and_runs_show_where_a_run_stands_and_why(trained: Coordinator) -> None:
    state = trained.json("status")
    assert (state["server"], state["run"]["status"], state["run"]["rounds_done"]) == (False, "paused", 2)
    assert state["last_round"]["left_out"] == "linz: no reply"
    assert state["clinics"][0]["answer"]["decision"] == "approved"
    assert "Round 3 got 0 replies" in trained("status").out
    assert "paused" in trained("runs").out
    with lock_folder(Path()):
        assert trained.json("status")["server"] is True


def test_status_names_who_is_waited_for_and_late_and_why_others_are_out(trained: Coordinator) -> None:
    record = Record(Path("record.db"))
    change_status(record, 1, [Status.PAUSED], Status.RUNNING)
    save_answer(record, 1, "graz", "waiting", "waiting: someone there has to approve it")
    early, soon = "2026-03-01T12:00:00+00:00", "2026-03-01T12:00:02+00:00"
    turns = {"linz": Turn(early, soon, "training failed there (OSError)"), "graz": Turn(early)}
    save_exchange(Path("runs/0001-spring"), OpenExchange("train", 3, 2, 60.0, turns))
    assert "Now" not in trained("status").out.split("Clinic")[0]  # nobody executes it
    with lock_folder(Path()):
        opened, text = trained.json("status")["open_round"], " ".join(trained("status").out.split())
    assert (opened["replied"], opened["asked"], opened["late"]) == (0, 2, ["graz"])
    assert opened["problems"] == {"linz": "training failed there (OSError)"}
    for words in (
        "running, 2 of 4 rounds done",
        "Now round 3 of 4, training, attempt 2: 0 of 2 clinics have replied",
        "late: graz (asked at 12:00:00 UTC)",
    ):
        assert words in text
    assert "waiting waiting" not in text
    assert "waiting: waiting" not in text


def test_a_run_that_guesses_has_collapsed_and_no_best_round(trained: Coordinator) -> None:
    record, folder = Record(Path("record.db")), Path("runs/0001-spring")
    rows = [HistoryRow(n, 1.5, 1.0, 0.5, 1 / 3, auc, 1, "", 3.0, 0.1) for n, auc in ((1, 0.5), (2, 0.504))]
    save_state(folder, RunState(2, np.zeros(10, np.float32), {}, tuple(rows), {}))
    write_history(folder, rows)
    for row in rows:
        save_round(record, 1, row)
    words = "No model of this run is better than guessing so far (AUC 0.504)"
    assert words in trained("status").out
    shown = trained("history", "1").out
    assert words in shown
    assert "best" not in shown
    save_round(record, 1, HistoryRow(1, 1.5, 1.0, 0.5, 0.6, 0.7, 1, "", 3.0, 0.1))
    collapsed = "The run has collapsed: since round 2, its model is no better than guessing (AUC 0.504)"
    assert trained.json("status")["collapse"] == collapsed


def test_a_round_that_was_rolled_back_is_said_everywhere(trained: Coordinator) -> None:
    why = "its balanced accuracy was 0.312, and that of the model of round 1, which stays, is 0.700"
    row = HistoryRow(2, 1.5, 1.0, 0.5, 0.312, math.nan, 1, "", 3.0, 0.1, rolled_back=why)
    record, folder = Record(Path("record.db")), Path("runs/0001-spring")
    save_round(record, 1, row)
    write_history(folder, [*load_state(folder).history[:1], row])
    said = f"Round 2 was rolled back: {why}"
    assert trained.json("status")["setbacks"] == [said]
    for shown in (("status",), ("history", "spring")):
        assert said in " ".join(trained(*shown).out.split())
    assert run_facts(record, Path(), find_run(record, "spring")).setbacks == [said]
    assert "rolled_back" in (folder / "history.csv").read_text().partition("\n")[0]


def test_stop_and_resume_move_a_run_once(trained: Coordinator) -> None:
    assert trained.json("resume", "spring")["status"] == "asked"
    assert trained("resume", "1").code == 2
    assert trained.json("stop", "1")["status"] == "stopped"
    assert trained.json("stop", "1")["status"] == "stopped"
    record = Record(Path("record.db"))
    for before, after in ((Status.RUNNING, "stopping"), (Status.STOPPING, "stopping")):
        change_status(record, 1, list(Status), before)
        assert trained.json("stop", "1")["status"] == after
    change_status(record, 1, list(Status), Status.FINISHED)
    assert trained("stop", "1").code == 2
    assert trained("resume", "1").code == 2
    assert trained("stop", "2").code == 2


def test_following_a_run_that_paused_fails_with_its_reason(trained: Coordinator) -> None:
    record = Record(Path("record.db"))
    change_status(record, 1, list(Status), Status.STOPPED, "because")
    from dermafed.server.commands.status import follow_run

    with pytest.raises(Exception, match=r"The run is stopped \(because\)\. To continue: fl-server resume 1"):
        follow_run(record, "spring")


@pytest.mark.parametrize("name", ["1", "spring", "runs/0001-spring"])
def test_history_and_models_take_a_number_a_name_or_a_folder(trained: Coordinator, name: str) -> None:
    assert [row["round"] for row in trained.json("history", name)["rounds"]] == [1, 2]
    assert [model["round"] for model in trained.json("models", name)["models"]] == [1, 2]


def test_a_run_without_rounds_and_an_unknown_run_are_named(trained: Coordinator) -> None:
    Path("../p.toml").write_text('name = "next"\nweights = "none"')
    assert trained("train", "../p.toml").code == 0
    for name, output in (("next", "has no model yet"), ("7", "There is no run '7'")):
        done = trained("models", name)
        assert (done.code, output in done.err) == (2, True), done.err


def test_export_refuses_before_any_work(trained: Coordinator) -> None:
    Path("there.keras").write_text("mine")
    for arguments, output in (
        (("spring", "best", "model.h5"), "does not end in .keras"),
        (("spring", "best", "there.keras"), "a file of this name"),
        (("spring", "7", "new.keras"), "Round 7 is not saved"),
        (("spring", "first", "new.keras"), "is not a round"),
        (("winter", "best", "new.keras"), "no run 'winter'"),
        (("spring", "best", "no/new.keras"), "folder does not exist"),
    ):
        done = trained("export", *arguments)
        assert (done.code, output in done.err) == (2, True), done.err
    assert Path("there.keras").read_text() == "mine"


def test_renew_takes_the_hosts_of_the_settings(fl_server: Coordinator) -> None:
    path = Path("server.toml")
    path.write_text(path.read_text().replace("10.0.0.1", "10.0.0.2"))
    assert fl_server.json("renew")["hosts"] == ["derma.example.org", "10.0.0.2"]


@pytest.mark.parametrize("name", ["clinics", "runs", "status", "renew", "start"])
def test_a_folder_that_is_not_a_federation_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = command(cli.main, capsys, name, "--dir", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "This is not a federation's folder" in done.err


def test_a_suspended_clinic_is_shown_until_it_is_reinstated(fl_server: Coordinator) -> None:
    fl_server("enrol", "graz", "../graz.pub")
    assert fl_server.json("suspend", "graz", "--reason", "labels") == {
        "suspended": "graz",
        "reason": "labels",
    }
    (graz,) = fl_server.json("status")["clinics"]
    assert (graz["suspended"]["clinic"], graz["suspended"]["reason"]) == ("graz", "labels")
    assert "suspended: labels" in fl_server("status").out
    assert fl_server.json("reinstate", "graz") == {"reinstated": "graz"}
    assert "suspended" not in fl_server.json("status")["clinics"][0]
    again = fl_server("reinstate", "graz")
    assert again.code == 2
    assert "is not suspended" in again.err


def test_query_shows_what_the_clinics_told_last(fl_server: Coordinator) -> None:
    assert "is not running" in fl_server("query").err
    assert "Nobody has asked yet" in fl_server("query", "--last").err
    for number, kind, counts in ((1, "lesions", sample_counts()), (2, "drift", sample_months().published())):
        query = Query(number, kind, now(), now(), "")  # type: ignore[arg-type]
        told: QueryAnswers[Any] = QueryAnswers(
            number, query.asked, {"graz": counts}, {"linz": "not approved"}
        )
        save_answers(fl_server.folder, query, told)
        assert fl_server.json("query", kind, "--last") == told.to_dict()
    lesions, drift = fl_server("query", "--last"), fl_server("query", "drift", "--last")
    assert [line.split() for line in lesions.out.splitlines() if "male" in line] == [
        ["female", "11", "11", "to", "39"],  # of 50 to 54, without 15 to 19 and the lesions of four patients
        ["male", "15", "15", "to", "19"],
    ]
    assert "linz told nothing: not approved" in lesions.err
    nobody: QueryAnswers[Any] = QueryAnswers(3, now(), {}, {"graz": "it is not connected"})
    save_answers(fl_server.folder, Query(3, "lesions", now(), now(), ""), nobody)
    assert "No clinic told anything." in fl_server("query", "--last").out
    assert "More alerts than the calibration lets expect, in 2027-03: " in drift.out

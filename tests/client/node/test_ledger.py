"""The ledger of privacy: budgets over plans and restarts, its chain, and no epsilon by kills and backups."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from flwr.app import MetricRecord, RecordDict

from dermafed.client.node.answered import Answered, Request
from dermafed.client.node.home import Home
from dermafed.client.node.ledger import Budget, BudgetSpent, Charge, Ledger, LedgerFile, spent_epsilon
from dermafed.client.node.ledger_replies import LedgerReplies, LedgerSetBack
from dermafed.client.node.privacy_account import RunAccount
from dermafed.server.rounds.ledger_heads import LedgerHeads
from dermafed.shared.errors import FederationError, StorageError
from dermafed.shared.privacy.accountant import Mechanism, curve_of, epsilon_of
from dermafed.shared.protocol.ledger_messages import LEDGER, with_heads, without
from dermafed.shared.protocol.node_key import fingerprint, make_key_pair, read_public_key

NOISE = Mechanism(2.0, 0.2, 10)
ONE = epsilon_of(curve_of([NOISE]), 1e-5)
FOUR = epsilon_of(curve_of([Mechanism(2.0, 0.2, 40)]), 1e-5)


def charge(**changes: object) -> Charge:
    return replace(
        Charge("a" * 64, "spring", 1, "training", 2.0, 0.2, 10, "2027-03-01T12:00:00+00:00"), **changes
    )


def test_it_counts_over_rounds_plans_and_restarts_and_refuses_what_is_beyond(tmp_path: Path) -> None:
    path, plan, clinic = tmp_path / "privacy.db", Budget(FOUR, 1e-5), Budget(1.001 * FOUR, 1e-5)
    for number in range(4):
        Ledger(path).debit(charge(round=number), plan, clinic)
    spent = spent_epsilon((entry.charge for entry in Ledger(path).entries()), 1e-5)
    assert spent == pytest.approx(FOUR)
    with pytest.raises(BudgetSpent, match="The plan allows"):
        Ledger(path).debit(charge(round=5), plan, Budget(100, 1e-5))
    with pytest.raises(BudgetSpent, match="This clinic allows"):
        Ledger(path).debit(charge(plan="b" * 64), plan, clinic)
    with pytest.raises(BudgetSpent, match="without noise"):
        Ledger(path).debit(charge(noise=0.0), Budget(100, 1e-5), Budget(100, 1e-5))
    assert len(Ledger(path).entries()) == 4  # what is refused is not written
    assert path.stat().st_mode & 0o077 == 0


def test_a_patient_is_on_one_side_of_a_plan_but_on_any_in_another() -> None:
    sides = [charge(), charge(what="validation")]
    assert spent_epsilon(sides, 1e-5) == pytest.approx(ONE)
    others = [replace(one, plan="b" * 64) for one in sides]
    two = epsilon_of(curve_of([Mechanism(2.0, 0.2, 20)]), 1e-5)
    assert spent_epsilon([*sides, *others], 1e-5) == pytest.approx(two)
    assert spent_epsilon([charge(), charge(what="counts")], 1e-5) == pytest.approx(two)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET charge = replace(charge, '\"times\":10', '\"times\":1') WHERE number = 2",
        "DELETE FROM entries WHERE number = 2",
        "DELETE FROM entries WHERE number = 1",
    ],
)
def test_no_entry_can_be_changed_or_left_out(tmp_path: Path, change: str) -> None:
    ledger, much = Ledger(tmp_path / "privacy.db"), Budget(100, 1e-5)
    for number in range(3):
        ledger.debit(charge(round=number), much, much)
    with sqlite3.connect(ledger.path) as db:
        db.execute(change)
    with pytest.raises(StorageError, match="changed or removed"):
        ledger.debit(charge(), much, much)


class Killed(BaseException):
    """The process ends here."""


class Clinic:
    """A clinic whose process may be killed at each point of a round, and a server that asks it.

    Attributes:
        received: what the server has.
    """

    def __init__(self, folder: Path, budget: Budget) -> None:
        self.home, self.budget = Home(folder / "clinic"), budget
        self.home.folder.mkdir()
        make_key_pair(self.home.key, self.home.public_key, "graz")
        keys = {"graz": read_public_key(self.home.public_key)}
        self.heads = LedgerHeads(folder / "ledgers.json", keys)
        self.received: set[tuple[int, int]] = set()
        self.computed = 0

    def ask(self, round: int, kill: str, *, told: bool = True) -> None:
        """Ask for a round; a reply that arrives is checked by the server."""
        content = self.heads.told(RecordDict()) if told else RecordDict()
        ledger, account = LedgerReplies(self.home), self._account()
        ledger.check(content)

        def work() -> RecordDict:
            self._die(kill, "before the debit")
            account.debit("training", round, NOISE)
            self._die(kill, "after the debit")
            self.computed += 1
            self._die(kill, "after the work")
            return RecordDict({"report": MetricRecord({"round": round, "number": self.computed})})

        request = Request("train", round, f"request {round}", "model")
        reply = Answered(self.home.folder / "answers").answer(request, work)
        signed = ledger.with_head(reply)
        self._die(kill, "after the reply")
        assert LEDGER not in self.heads.checked("graz", signed)
        report = reply["report"]
        self.received.add((int(report["round"]), int(report["number"])))  # type: ignore[arg-type]

    def _account(self) -> RunAccount:
        return RunAccount(Ledger(self.home.ledger), "a" * 64, "spring", self.budget, lambda: self.budget)

    @staticmethod
    def _die(kill: str, here: str) -> None:
        if kill == here:
            raise Killed


POINTS = (
    "before the debit",
    "while writing",
    "after the debit",
    "after the work",
    "after the reply",
    "never",
)


@pytest.fixture
def kill_in_a_transaction(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Kills the next debit after its row is written and before it is committed."""
    armed = [False]
    real = LedgerFile.writing

    @contextmanager
    def writing(file: LedgerFile) -> Iterator[sqlite3.Connection]:
        with real(file) as db:
            yield db
            if armed[0]:
                raise Killed

    monkeypatch.setattr(LedgerFile, "writing", writing)
    return armed


def test_a_hundred_kills_and_restores_gain_no_epsilon(
    tmp_path: Path, kill_in_a_transaction: list[bool]
) -> None:
    draw = random.Random(24)
    budget = Budget(epsilon_of(curve_of([Mechanism(2.0, 0.2, 300)]), 1e-5), 1e-5)  # thirty rounds
    clinic, backup = Clinic(tmp_path, budget), tmp_path / "backup"
    noticed = refused = 0
    number = 1
    for turn in range(100):
        if turn % 10 == 3:
            shutil.rmtree(backup, ignore_errors=True)
            shutil.copytree(clinic.home.folder, backup)
        newest = None
        if turn % 10 == 8:
            newest = clinic.home.folder.rename(tmp_path / f"newest {turn}")
            shutil.copytree(backup, clinic.home.folder)
        kill = POINTS[turn % len(POINTS)] if newest is None else "never"
        kill_in_a_transaction[0] = kill == "while writing"
        try:
            clinic.ask(number, kill)
        except Killed:
            number += draw.random() < 0.3  # or the same round again
        except LedgerSetBack:
            noticed += 1
            assert newest is not None
            shutil.rmtree(clinic.home.folder)  # a person puts the newest copy back
            newest.rename(clinic.home.folder)
        except BudgetSpent:
            refused += 1
            number += 1
        else:
            number += 1
        debited = [entry.charge for entry in Ledger(clinic.home.ledger).entries()]
        assert len(clinic.received) <= len(debited)
    assert spent_epsilon(debited, 1e-5) <= budget.epsilon * (1 + 1e-9)
    assert len(debited) == 30  # all of the budget was used, and not more
    assert 10 < len(clinic.received) < 30
    assert refused
    assert noticed >= 3


def test_without_its_own_look_the_server_notices_a_restored_backup_in_the_next_reply(tmp_path: Path) -> None:
    clinic, much = Clinic(tmp_path, Budget(100, 1e-5)), "never"
    clinic.ask(1, much)
    shutil.copytree(clinic.home.folder, tmp_path / "backup")
    clinic.ask(2, much)
    clinic.ask(3, much)
    shutil.rmtree(clinic.home.folder)
    shutil.copytree(tmp_path / "backup", clinic.home.folder)
    with pytest.raises(LedgerSetBack, match="was a backup restored"):
        clinic.ask(4, much)
    with pytest.raises(FederationError, match="set back: it has 2 entries, and had 3 others"):
        clinic.ask(4, much, told=False)
    for number in (5, 6):  # as many entries as before, and more: others
        with pytest.raises(FederationError, match="was set back"):
            clinic.ask(number, much, told=False)


def test_a_head_is_the_clinics_own_and_of_this_reply(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, Budget(100, 1e-5))
    clinic.ask(1, "never")
    reply = RecordDict({"report": MetricRecord({"round": 2})})
    signed = LedgerReplies(clinic.home).with_head(reply)
    assert without(signed, LEDGER).object_id == clinic.heads.checked("graz", signed).object_id
    other = RecordDict({"report": MetricRecord({"round": 3}), LEDGER: signed[LEDGER]})
    with pytest.raises(FederationError, match="no valid signature"):
        clinic.heads.checked("graz", other)
    with pytest.raises(FederationError, match="is missing"):
        clinic.heads.checked("graz", reply)
    content = with_heads(RecordDict(), {fingerprint(read_public_key(clinic.home.public_key)): "x"})
    with pytest.raises(FederationError, match="not one"):
        LedgerReplies(clinic.home).check(content)

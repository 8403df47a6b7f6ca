"""Clinics that keep being out of line, and their suspension: in the record and on the screen."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console

from dermafed.server.commands.status import _render
from dermafed.server.record.clinics_table import enrol
from dermafed.server.record.outliers import Outlier, find_outliers
from dermafed.server.record.record_database import Record
from dermafed.server.record.suspensions_table import list_suspensions, reinstate, suspend
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.shared.errors import SettingsError
from tests.server.coordinator.runs_in_process import public_key


def rounds(*noted: str) -> list[dict[str, object]]:
    """A round for each text, which names the clinics with a note by their first letters."""
    names = ("graz", "linz", "wels")
    return [
        {
            "clinics": [
                ClinicRound(name, note=f"note {number}" if name[0] in letters else "").to_dict()
                for name in names
            ]
        }
        for number, letters in enumerate(noted)
    ]


def test_an_outlier_is_noted_in_three_of_the_last_five_rounds() -> None:
    assert find_outliers(rounds("g", "gl", "g", "", "l", "g")) == [Outlier("graz", 3, 5, "note 5")]
    assert find_outliers(rounds("gl", "gl", "g", "g", "", "", "l")) == []
    assert find_outliers(rounds("w", "w", "w")) == [Outlier("wels", 3, 3, "note 2")]
    assert find_outliers([{}, *rounds("w", "w")]) == []


def test_a_suspension_has_a_reason_and_an_end(tmp_path: Path) -> None:
    record = Record.create(tmp_path / "record.db")
    assert list_suspensions(record) == {}, "a record of an earlier version has no such table"
    for number, name in enumerate(("graz", "linz")):
        enrol(record, name, public_key(number))
    suspend(record, "graz", "long steps")
    suspend(record, "graz", "wrong labels")
    assert {name: one.reason for name, one in list_suspensions(record).items()} == {"graz": "wrong labels"}
    with pytest.raises(SettingsError, match="no enrolled clinic 'wels'"):
        suspend(record, "wels", "")
    with pytest.raises(SettingsError, match="'linz' is not suspended"):
        reinstate(record, "linz")
    reinstate(record, "graz")
    assert list_suspensions(record) == {}


def test_status_shows_both() -> None:
    answer = {"clinic": "graz", "decision": "approved", "reason": "", "heard": ""}
    suspended = {"clinic": "graz", "since": "2027-01-01T00:00:00+00:00", "reason": "wrong [labels]"}
    state = {
        "federation": "alps",
        "server": False,
        "address": "here",
        "run": None,
        "last_round": None,
        "clinics": [{"clinic": "graz", "online": None, "answer": answer, "suspended": suspended}],
        "outliers": [asdict(Outlier("graz", 4, 5, "its step is 9 times the median"))],
    }
    console = Console(file=io.StringIO(), width=200)
    console.print(_render(state))
    text = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "graz was out of line in 4 of the last 5 rounds: its step is 9 times the median." in text
    assert "fl-server suspend graz" in text
    assert "suspended: wrong [labels]" in text

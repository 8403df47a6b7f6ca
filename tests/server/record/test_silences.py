"""The clinics that are silent, and since when: written only when others are than before."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dermafed.server.commands.status import clinic_now
from dermafed.server.record import silences_table
from dermafed.server.record.record_database import Record
from dermafed.server.record.silences_table import list_silences, save_silences, silence_words


class Noon(datetime):
    @classmethod
    def now(cls, tz: object = None) -> datetime:
        return datetime(2027, 3, 1, 12, tzinfo=UTC)


def test_a_silence_keeps_its_beginning_until_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silences_table, "datetime", Noon)
    record = Record.create(tmp_path / "record.db")
    save_silences(record, {})
    assert list_silences(record) == {}
    save_silences(record, {"graz": 4.0})
    began = "2027-03-01T11:59:56+00:00"
    assert list_silences(record) == {"graz": began}
    save_silences(record, {"graz": 30.0, "linz": 5.0})
    assert list_silences(record) == {"graz": began, "linz": "2027-03-01T11:59:55+00:00"}
    save_silences(record, {"linz": 6.0})
    assert list_silences(record).keys() == {"linz"}
    assert silence_words(began) == "not heard since 11:59:56 UTC"


def test_silence_is_said_before_work_and_after_an_error() -> None:
    began = "2027-03-01T11:59:56+00:00"
    opened = {"problems": {}, "waiting": {"graz": began}, "late": ["graz"], "what": "training"}
    assert clinic_now("graz", opened, began) == "not heard since 11:59:56 UTC"
    assert clinic_now("graz", None, began) == "not heard since 11:59:56 UTC"
    assert clinic_now("graz", opened) == "late, asked since 11:59:56 UTC"
    failed = {**opened, "problems": {"graz": "training failed there (OSError)"}}
    assert clinic_now("graz", failed, began) == "training failed there (OSError)"

"""The commands of the clinic's store."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dermafed.client.cli import main
from dermafed.client.clinic.store.opinions import Opinion
from dermafed.client.clinic.store.store import Store
from dermafed.client.node.home import Home
from dermafed.client.node.reviewed import read_reviewed
from tests.client.clinic.store.samples import save_one
from tests.commands.small_datasets import Outcome, command

SAYS = Opinion("dr-huber", False, "melanoma", "streaks\x1b[2J", "histopathology")


class Client:
    """``fl-client`` in the clinic's folder."""

    def __init__(self, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self.capsys = home, capsys

    def __call__(self, *arguments: object) -> Outcome:
        return command(main, self.capsys, *arguments, "--dir", self.home.folder)

    def json(self, *arguments: object) -> Any:
        outcome = self(*arguments, "--json")
        assert outcome.code == 0, outcome.err
        return json.loads(outcome.out)


@pytest.fixture
def client(home: Home, store: Store, capsys: pytest.CaptureFixture[str]) -> Client:
    """Beside a store that is open, as while the node serves."""
    return Client(home, capsys)


def test_diagnoses_of_a_day(client: Client, store: Store) -> None:
    yesterday = datetime.now(UTC) - timedelta(1)
    old = save_one(store, 1, time=yesterday.isoformat(timespec="milliseconds"))
    first, second = save_one(store, 2), save_one(store, 3)
    opinion = store.add_opinion(first.id, SAYS)
    store.add_view(first.id, "dr-huber")
    found = client.json("diagnoses")
    assert [each["id"] for each in found] == [second.id, first.id]
    assert {name: found[1][name] for name in first.to_dict()} == first.to_dict()
    assert found[1]["opinions"][0] == {
        "who": "dr-huber",
        "agrees": False,
        "label": "melanoma",
        "reason": "streaks\x1b[2J",
        "confirmed_by": "histopathology",
        "time": opinion.time,
    }
    assert [view["who"] for view in found[1]["looks"]] == ["dr-huber"]
    day = yesterday.astimezone().date().isoformat()
    assert [each["id"] for each in client.json("diagnoses", "--day", day)] == [old.id]
    shown = client("diagnoses").out
    assert f"{first.id}  {date.today().isoformat()}" in shown
    assert "nevus 75%" in shown
    assert "dr-huber says melanoma, confirmed by histopathology: streaks?[2J" in shown
    assert "No diagnosis" in client("diagnoses", "--day", "2001-01-01").err
    assert client("diagnoses", "--day", "yesterday").code == 2


def test_review(client: Client, store: Store, home: Home) -> None:
    ids = [save_one(store, seed).id for seed in range(3)]
    for id in ids:
        store.add_opinion(id, SAYS)
    assert [(each["id"], each["label"], each["confirmed_by"]) for each in client.json("review")] == [
        (id, "melanoma", "histopathology") for id in ids
    ]
    assert "to accept as melanoma" in client("review").out
    assert "Accepted as melanoma" in client("review", ids[0], "--accept").err
    assert "Accepted as nevus" in client("review", ids[1], "--accept", "--label", "nevus").err
    assert [each["id"] for each in client.json("review", ids[2], "--reject")] == []
    assert {record.image_id: record.label for record in read_reviewed(home.reviewed)} == {
        ids[0]: "melanoma",
        ids[1]: "nevus",
    }
    assert "Nothing waits" in client("review").err


@pytest.mark.parametrize(
    "arguments",
    [
        ("review", "--accept"),
        ("review", "0" * 32),
        ("review", "0" * 32, "--accept"),
        ("review", "0" * 32, "--accept", "--reject"),
        ("review", "0" * 32, "--reject", "--label", "nevus"),
        ("review", "--label", "nevus"),
        ("forget", "0" * 32),
        ("quarantine", "0" * 32),
        ("quarantine", "--delete"),
        ("quarantine", "0" * 32, "--delete"),
        ("quarantine", "0" * 32, "--delete", "--release", "file"),
    ],
)
def test_bad_usage_is_refused(client: Client, arguments: tuple[str, ...]) -> None:
    outcome = client(*arguments)
    assert outcome.code == 2
    assert outcome.err.startswith("Error: ")
    assert "Traceback" not in outcome.err


def test_forget(client: Client, store: Store) -> None:
    ids = [save_one(store, seed).id for seed in range(3)]
    assert client("forget", *ids[:2]).out.count("forgotten") == 2
    assert [each.id for each in store.list_day(date.today())] == [ids[2]]
    assert list(client.json("forget")) == ids[:2]
    again = client("forget", ids[0])
    assert again.code == 2
    assert "no longer stored" in again.err


def test_quarantine(client: Client, store: Store, tmp_path: Path) -> None:
    first = store.quarantine(b"first", "burned-in-annotation", "camera-1")
    second = store.quarantine(b"second", "burned-in-annotation", "camera-1")
    assert [each["id"] for each in client.json("quarantine")] == [first, second]
    assert "from camera-1: burned-in-annotation" in client("quarantine").out
    file = tmp_path / "object.dcm"
    assert client("quarantine", first, "--release", file).code == 0
    assert file.read_bytes() == b"first"
    assert file.stat().st_mode & 0o077 == 0
    assert client("quarantine", second, "--release", file).code == 2
    assert [each.id for each in store.list_quarantined()] == [second]
    assert client.json("quarantine", second, "--delete") == []

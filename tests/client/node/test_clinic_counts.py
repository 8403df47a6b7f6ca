"""A clinic's answers to queries of counts, through its app and the gate."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from dermafed.client import cli
from dermafed.client.node import clinic_counts
from dermafed.client.node.clinic_counts import ClinicCounts
from dermafed.client.node.count_app import add_counts
from dermafed.client.node.flower.contents import content_to_bytes
from dermafed.client.node.gate import filter_reply
from dermafed.client.node.home import Home
from dermafed.shared.protocol.count_messages import (
    COUNTS_QUERY,
    DRIFT_QUERY,
    decode_lesion_counts,
    decode_monthly_counts,
    encode_counts_request,
    encode_lesion_counts,
)
from dermafed.shared.protocol.messages import Refusal
from dermafed.simulation.engines.local import become_server_task
from tests.client.planted_clinic import FILE, PATIENT, clinic, data_set
from tests.commands.small_datasets import command
from tests.shared.counts.sample_lesions import sample_counts
from tests.shared.counts.sample_months import MARCH, sample_months


class Asking:
    """A coordinator that asks the clinic's app, and gets what passes the gate."""

    def __init__(self, home: Home) -> None:
        self.home, self._app = home, ClientApp()
        add_counts(self._app, ClinicCounts(home))

    def __call__(self, kind: str, content: RecordDict | None = None) -> Message:
        become_server_task()
        message = Message(content or encode_counts_request(), 1000, kind)
        return filter_reply(self._app(message, Context(7, 1000, {}, RecordDict(), {})), message, None)

    def allow(self, *keys: str) -> None:
        text = self.home.settings_file.read_text().partition("[counts]\n")
        lines = "".join(f"{key} = true\n" for key in keys)
        self.home.settings_file.write_text(f"{text[0].removesuffix('# ')}[counts]\n{lines}{text[2]}")


@pytest.fixture
def ask(tmp_path: Path) -> Asking:
    return Asking(clinic(tmp_path / "graz", data_set(tmp_path / "data")))


def add_nevi(folder: Path, count: int) -> None:
    image, manifest = next(folder.glob("*.png")).read_bytes(), folder / "manifest.csv"
    rows = [f"new_{number},nevus,new {number},new-{number}" for number in range(count)]
    for number in range(count):
        (folder / f"new_{number}.png").write_bytes(image)
    manifest.write_text(manifest.read_text() + "\n".join(rows) + "\n")


def test_a_clinic_tells_nothing_unless_it_is_allowed(ask: Asking) -> None:
    assert ask(COUNTS_QUERY).error.code == Refusal.NOT_APPROVED
    assert ask(DRIFT_QUERY).error.code == Refusal.NOT_APPROVED
    ask.allow("lesions")
    assert ask(COUNTS_QUERY).has_content()
    assert ask(DRIFT_QUERY).error.code == Refusal.NOT_APPROVED


def test_the_counts_are_repeated_for_a_while(
    ask: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask.allow("lesions")
    first = ask(COUNTS_QUERY).content
    told = decode_lesion_counts(first)
    assert (told.lesions, told.patients) == (20, 20)
    assert told.to_dict()["tables"]["diagnosis"]["melanoma"] == 10
    assert not any(secret.encode() in content_to_bytes(first) for secret in (PATIENT, FILE))
    add_nevi(tmp_path / "data", 11)
    assert content_to_bytes(ask(COUNTS_QUERY).content) == content_to_bytes(first)
    monkeypatch.setattr(clinic_counts, "SAME_FOR", timedelta(0))
    assert decode_lesion_counts(ask(COUNTS_QUERY).content).lesions == 30


def test_months_are_told_once_each(ask: Asking) -> None:
    ask.allow("lesions", "drift")
    assert ask(DRIFT_QUERY).error.code == Refusal.COUNTS_FAILED  # nothing was served
    for last, answers, told in ((MARCH, 40, 40), (MARCH, 80, 40), (MARCH + 1, 80, 80)):
        ask.home.monthly.write_text(json.dumps(sample_months(last, answers).to_dict()))
        assert decode_monthly_counts(ask(DRIFT_QUERY).content).counts[0, 0] == told


def test_no_other_question_is_answered_and_no_exact_count_leaves(ask: Asking) -> None:
    ask.allow("lesions")
    for request in ({"format": 2}, {"format": 1, "where": "sex = 'male'"}):
        content = RecordDict({"request": ConfigRecord(request)})  # type: ignore[arg-type]
        assert ask(COUNTS_QUERY, content).error.code == Refusal.COUNTS_FAILED
    message = Message(encode_counts_request(), 1000, COUNTS_QUERY)
    exact = Message(encode_lesion_counts(replace(sample_counts(), lesions=51)), reply_to=message)
    assert filter_reply(exact, message, None).error.code == Refusal.HELD_BACK


def test_a_person_sees_what_would_be_sent(ask: Asking, capsys: pytest.CaptureFixture[str]) -> None:
    def counts() -> dict[str, Any]:
        done = command(cli.main, capsys, "counts", "--dir", ask.home.folder, "--json")
        assert done.code == 0, done.err
        return dict(json.loads(done.out))

    before = counts()
    assert before["lesions"]["allowed"] is False
    assert before["lesions"]["sent"] is None
    assert "fl-client serve" in before["drift"]["why_not"]
    ask.allow("lesions")
    told = decode_lesion_counts(ask(COUNTS_QUERY).content)
    after = counts()["lesions"]
    assert after["would_send"] == before["lesions"]["would_send"] == told.to_dict()
    assert after["sent"] is not None
    shown = command(cli.main, capsys, "counts", "--dir", ask.home.folder).out
    assert "by diagnosis: melanoma 10 to 14, nevus 10 to 14; of all others few" in shown

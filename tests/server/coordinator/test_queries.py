"""Queries of counts by the coordinator's loop: who is asked, what is saved, and that a run goes first."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event

import pytest
from flwr.app import Context, Error, Message
from flwr.serverapp import Grid

from dermafed.server.coordinator import coordinator
from dermafed.server.coordinator.query_answers import load_drift, load_lesions
from dermafed.server.record.queries_table import Query, add_query, find_query
from dermafed.server.record.runs_table import Status, find_run
from dermafed.server.record.suspensions_table import suspend
from dermafed.shared.protocol.count_messages import (
    COUNTS,
    DRIFT,
    encode_lesion_counts,
    encode_monthly_counts,
)
from dermafed.shared.protocol.messages import Refusal
from tests.server.coordinator.runs_in_process import LocalLink, Server, StoppableGrid
from tests.server.small_clinics import joining_app
from tests.shared.counts.sample_lesions import sample_counts
from tests.shared.counts.sample_months import sample_months


class CountingLink(LocalLink):
    """Clinics that answer queries: graz as it should; linz does not allow it, and tells exact months."""

    def grid(
        self, run_id: int, clinics: Mapping[int, str], stopped: Event, suspended: Callable[[], object]
    ) -> Grid:
        names, app = sorted(clinics.values()), joining_app()

        def is_graz(context: Context) -> bool:
            return names[int(context.node_config["partition-id"])] == "graz"

        @app.query(COUNTS)
        def counts(message: Message, context: Context) -> Message:
            if is_graz(context):
                return Message(encode_lesion_counts(sample_counts()), reply_to=message)
            return Message(Error(code=int(Refusal.NOT_APPROVED), reason="NotApproved"), reply_to=message)

        @app.query(DRIFT)
        def drift(message: Message, context: Context) -> Message:
            months = sample_months().published() if is_graz(context) else sample_months()
            return Message(encode_monthly_counts(months), reply_to=message)

        return StoppableGrid(app, names, stopped)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(coordinator, "TICK_SECONDS", 0.01)
    return Server(tmp_path, CountingLink())


def await_end(served: Server, number: int) -> Query:
    end = time.monotonic() + 60
    while (query := find_query(served.record, number)).ended is None:
        assert time.monotonic() < end, query
        time.sleep(0.02)
    return query


def test_the_clinics_that_allow_it_tell_their_counts(served: Server) -> None:
    suspend(served.record, "wels", "labels look exchanged")
    with served.running():
        lesions, drift = add_query(served.record, "lesions"), add_query(served.record, "drift")
        assert await_end(served, lesions).why == await_end(served, drift).why == ""
    found = load_lesions(served.folder)
    assert found is not None
    assert {name: counts.to_dict() for name, counts in found.clinics.items()} == {
        "graz": sample_counts().to_dict()
    }
    assert found.left_out == {
        "linz": "not approved there (NotApproved); its own log says why",
        "wels": "suspended: labels look exchanged",
    }
    months = load_drift(served.folder)
    assert months is not None
    assert months.clinics.keys() == {"graz"}
    assert months.left_out["linz"] == "the monthly counts may not be told"
    saved = served.folder / "queries" / "0002-drift.json"
    assert json.loads(saved.read_text())["query"] == 2
    assert saved.stat().st_mode & 0o777 == 0o600
    assert served.link.open_runs == 0


def test_a_run_goes_before_a_query(served: Server) -> None:
    served.ask("first", rounds=1)
    number = add_query(served.record, "lesions")
    with served.running():
        await_end(served, number)
    assert find_run(served.record, "first").status is Status.FINISHED
    assert served.link.most_open == 1


def test_a_failed_query_ends_and_says_why(served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("unexpected")

    monkeypatch.setattr(served.link, "grid", broken)
    with served.running():
        assert await_end(served, add_query(served.record, "lesions")).why.startswith("ValueError")

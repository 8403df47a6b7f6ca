"""The states that Flower offers, as docs/scale.md says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flwr.server.superlink.linkstate import LinkState
from flwr.server.superlink.linkstate.sql_linkstate import SqlLinkState
from flwr.supercore.object_store.in_memory_object_store import InMemoryObjectStore
from flwr.superlink.federation import NoOpFederationManager

from benchmarks.flower_state import in_memory, measure, sql_state


@pytest.mark.parametrize("make", [in_memory, lambda: sql_state(":memory:")], ids=["memory", "SQLite"])
def test_each_call_of_a_node_is_measured(make: Callable[[], LinkState]) -> None:
    found = measure(make(), nodes=2, calls=3)
    assert list(found) == ["find by key", "look up", "search messages", "say that it is alive"]
    assert all(0 < milliseconds < 1000 for milliseconds in found.values())


def test_flower_takes_no_other_database_than_sqlite() -> None:
    with pytest.raises(ValueError, match="Supported dialects: sqlite"):
        SqlLinkState("postgresql://localhost/flower", NoOpFederationManager(), InMemoryObjectStore())

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from tests.client.clinic.http.http_node import Node, running, small_diagnoser

Start = Callable[..., Node]


@pytest.fixture(scope="session")
def diagnoser() -> Diagnoser:
    return small_diagnoser()


@pytest.fixture
def start(diagnoser: Diagnoser, tmp_path: Path) -> Iterator[Start]:
    """Starts a node with settings of its own."""
    with ExitStack() as nodes:
        yield lambda **settings: nodes.enter_context(running(diagnoser, tmp_path / "graz", **settings))


@pytest.fixture
def node(start: Start) -> Node:
    """A node with its settings at their defaults, but that no impression comes first."""
    return start()

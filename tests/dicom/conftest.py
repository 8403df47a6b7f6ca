from __future__ import annotations

import pytest

from client.diagnosis.diagnoser import Diagnoser
from tests.dicom.node import Node, node_of, small_diagnoser


@pytest.fixture(scope="session")
def diagnoser() -> Diagnoser:
    return small_diagnoser()


@pytest.fixture
def node(diagnoser: Diagnoser) -> Node:
    return node_of(diagnoser)

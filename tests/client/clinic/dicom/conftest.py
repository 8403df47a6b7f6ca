from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.dicom.dicom_settings import DicomSettings
from dermafed.client.clinic.dicom.receiver import start_receiver
from tests.client.clinic.dicom.dicom_node import Node, node_of, small_diagnoser
from tests.client.clinic.dicom.sending import Sender
from tests.ports import free_port

Open = Callable[..., Sender]


@pytest.fixture(scope="session")
def diagnoser() -> Diagnoser:
    return small_diagnoser()


@pytest.fixture
def node(diagnoser: Diagnoser, tmp_path: Path) -> Node:
    return node_of(diagnoser, tmp_path / "clinic")


@pytest.fixture
def open_port(node: Node) -> Iterator[Open]:
    """Opens the node's port with settings of its own; gives a sender to it."""
    with ExitStack() as stops:

        def start(**changes: object) -> Sender:
            chosen = {"devices": {"CAMERA": "camera-1"}, "port": free_port()} | changes
            settings = DicomSettings.model_validate(chosen)
            stops.callback(start_receiver(node.service, settings, node.diagnosed.append))
            return Sender(settings.port)

        yield start

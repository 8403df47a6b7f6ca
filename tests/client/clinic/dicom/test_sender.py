"""Answers sent back: to a real receiver, tried again until it takes them, also after a restart."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from highdicom.sr import ComprehensiveSR
from pydicom import Dataset
from pydicom.uid import ComprehensiveSRStorage, SecondaryCaptureImageStorage, SegmentationStorage
from pynetdicom import AE, evt

from dermafed.client.clinic.dicom import sender
from dermafed.client.clinic.dicom.dicom_settings import DicomSettings
from dermafed.client.clinic.dicom.instance import diagnose_instance
from dermafed.client.clinic.dicom.outbox import Outbox
from dermafed.client.clinic.dicom.receiver import start_receiver
from dermafed.client.clinic.dicom.sender import AnswerSender
from dermafed.client.clinic.http.start import dicom_listener
from tests.client.clinic.answers.test_structured_report import numbers
from tests.client.clinic.dicom.dicom_node import Node
from tests.client.clinic.dicom.dicom_objects import (
    INSTANCE,
    STUDY,
    as_file,
    dciodvfy,
    draw_jpeg,
    encapsulated,
)
from tests.client.clinic.dicom.sending import Sender
from tests.client.clinic.intake.sample_files import with_elements
from tests.client.clinic.lesions import FOUND
from tests.ports import free_port

PATIENCE = 300  # seconds; the machine may be busy


class Archive:
    """A PACS that stores what it is sent, or answers with a failure."""

    def __init__(self, port: int) -> None:
        self.port, self.status = port, 0x0000
        self.received: list[Dataset] = []
        self.asked = 0
        self._ae = AE("PACS")
        for kind in (SecondaryCaptureImageStorage, ComprehensiveSRStorage, SegmentationStorage):
            self._ae.add_supported_context(kind)
        self._ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])

    def stop(self) -> None:
        self._ae.shutdown()

    def _store(self, event: evt.Event) -> int:
        self.asked += 1
        if not self.status:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            self.received.append(dataset)
        return self.status


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "_RETRY_SECONDS", (0.05, 0.2))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stops:
        yield stops


def archive(stack: ExitStack, port: int | None = None) -> Archive:
    made = Archive(port or free_port())
    stack.callback(made.stop)
    return made


def settings(answer_to: int) -> DicomSettings:
    port = free_port()
    return DicomSettings.model_validate(
        {"devices": {"CAMERA": "camera-1"}, "port": port, "answer_to": f"PACS@127.0.0.1:{answer_to}"}
    )


def start_sender(node: Node, settings: DicomSettings, folder: Path) -> AnswerSender:
    assert settings.answer_to is not None
    return AnswerSender(node.service, settings, settings.answer_to, folder)


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def save_one(node: Node, seed: int = 1) -> str:
    """Save a diagnosis; returns its id."""
    came = encapsulated(draw_jpeg(seed), instance=f"2.25.{seed}")
    _, diagnosis = diagnose_instance(node.service, as_file(came), "camera-1", {})
    return diagnosis.id


def test_a_sent_object_comes_back_as_heatmap_and_report(node: Node, stack: ExitStack, tmp_path: Path) -> None:
    pacs = archive(stack)
    chosen = settings(pacs.port)
    answering = start_sender(node, chosen, tmp_path / "outbox")
    stack.callback(answering.stop)
    stack.callback(start_receiver(node.service, chosen, answering.add))
    assert Sender(chosen.port).store(encapsulated(draw_jpeg())) == 0x0000
    until(lambda: len(pacs.received) == 2)
    heatmap, report = pacs.received
    (diagnosis,) = node.diagnoses
    assert {heatmap.StudyInstanceUID, report.StudyInstanceUID} == {STUDY}
    assert heatmap.SourceImageSequence[0].ReferencedSOPInstanceUID == INSTANCE
    expected = {name.replace("_", " "): value for name, value in diagnosis.probabilities.items()}
    assert numbers(ComprehensiveSR.from_dataset(report)) == expected
    for each in pacs.received:
        assert dciodvfy(as_file(each), tmp_path)[0] == []
    until(lambda: Outbox(tmp_path / "outbox").waiting() == [])


def test_an_answer_waits_for_its_receiver_and_survives_a_restart(
    node: Node, stack: ExitStack, tmp_path: Path
) -> None:
    port, id = free_port(), save_one(node)
    first = start_sender(node, settings(port), tmp_path)
    first.add(id)
    time.sleep(0.3)
    first.stop()
    assert [name for name, _ in Outbox(tmp_path).waiting()] == [id]
    pacs = archive(stack, port)
    second = start_sender(node, settings(port), tmp_path)
    stack.callback(second.stop)
    until(lambda: len(pacs.received) == 2)
    until(lambda: Outbox(tmp_path).waiting() == [])


@pytest.mark.parametrize(("status", "again"), [(0xA700, True), (0xA900, False), (0xC000, False)])
def test_a_full_receiver_is_tried_again_and_a_refusal_is_final(
    node: Node, stack: ExitStack, tmp_path: Path, status: int, again: bool
) -> None:
    pacs = archive(stack)
    pacs.status = status
    answering = start_sender(node, settings(pacs.port), tmp_path)
    stack.callback(answering.stop)
    answering.add(save_one(node))
    if again:
        until(lambda: pacs.asked >= 3)
        pacs.status = 0x0000
        until(lambda: len(pacs.received) == 2)
    until(lambda: Outbox(tmp_path).waiting() == [])
    assert pacs.asked == 2 or again


def test_a_forgotten_diagnosis_does_not_delay_the_others(
    node: Node, stack: ExitStack, tmp_path: Path
) -> None:
    pacs = archive(stack)
    outbox = Outbox(tmp_path)
    outbox.add("0" * 32)
    outbox.add(save_one(node))
    stack.callback(start_sender(node, settings(pacs.port), tmp_path).stop)
    until(lambda: len(pacs.received) == 2)
    until(lambda: outbox.waiting() == [])


def test_a_lesion_is_sent_as_a_segmentation(
    node: Node, stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pacs, load = archive(stack), node.store.load
    id = save_one(node)
    monkeypatch.setattr(node.store, "load", lambda id: replace(load(id), lesion=FOUND))
    answering = start_sender(node, settings(pacs.port), tmp_path)
    stack.callback(answering.stop)
    answering.add(id)
    until(lambda: len(pacs.received) == 3)
    sent = pacs.received[-1]
    assert sent.SOPClassUID == SegmentationStorage
    assert (sent.pixel_array > 0).sum() == FOUND.mask(96, 96).sum() > 0


def test_an_answer_that_cannot_be_made_waits_and_delays_no_other(
    node: Node, stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pacs, outbox = archive(stack), Outbox(tmp_path)
    faulty, good = save_one(node), save_one(node, seed=2)
    answer, broken = node.service.dicom_answer, True

    def make(id: str, kind: Literal["sc", "sr"]) -> Dataset:
        if broken and id == faulty:
            raise ValueError("Beispiel^Bärbel")
        return answer(id, kind)

    monkeypatch.setattr(node.service, "dicom_answer", make)
    for id in (faulty, good):
        outbox.add(id)
    os.utime(tmp_path / faulty, (0, 0))  # since 1970: it is never given up
    first = start_sender(node, settings(pacs.port), tmp_path)
    until(lambda: len(pacs.received) == 2)
    until(lambda: outbox.failures() == {faulty: "ValueError"})
    first.stop()
    assert [id for id, _ in outbox.waiting()] == [faulty]
    broken = False
    stack.callback(start_sender(node, settings(pacs.port), tmp_path).stop)
    until(lambda: len(pacs.received) == 4)
    until(lambda: outbox.waiting() == [])
    assert outbox.failures() == {}


@pytest.mark.parametrize(
    "values",
    [
        {"StudyDate": b"20200230"},
        {"PatientName": "王^小明".encode("gb2312"), "SpecificCharacterSet": b""},
        {"StudyInstanceUID": b"1.2.003"},
    ],
)
def test_what_an_object_says_of_its_patient_keeps_no_answer_from_being_sent(
    node: Node, stack: ExitStack, tmp_path: Path, values: dict[str, bytes]
) -> None:
    pacs = archive(stack)
    data = with_elements(as_file(encapsulated(draw_jpeg())), **values)
    _, diagnosis = diagnose_instance(node.service, data, "camera-1", {})
    answering = start_sender(node, settings(pacs.port), tmp_path)
    stack.callback(answering.stop)
    answering.add(diagnosis.id)
    until(lambda: len(pacs.received) == 2)
    for answer in pacs.received:
        for keyword, value in values.items():
            element = answer.get_item(keyword)
            found = b"" if element is None else element.value or b""
            assert bytes(found).rstrip(b" \0") == (b"" if keyword == "StudyDate" else value)
    until(lambda: Outbox(tmp_path).waiting() == [])


def test_without_an_address_nothing_is_sent_or_written(node: Node, tmp_path: Path) -> None:
    chosen = settings(1).model_copy(update={"answer_to": None})

    async def receive_one() -> None:
        async with dicom_listener(node.service, chosen, tmp_path / "outbox"):
            assert Sender(chosen.port).store(encapsulated(draw_jpeg())) == 0x0000

    asyncio.run(receive_one())
    assert len(node.diagnoses) == 1
    assert not (tmp_path / "outbox").exists()

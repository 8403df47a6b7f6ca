"""C-STORE over loopback: a real sender, the real receiver, a real network of random weights."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from dermafed.client.clinic.dicom.dicom_settings import DicomSettings
from dermafed.client.clinic.dicom.receiver import start_receiver
from dermafed.client.clinic.intake.receive import receive
from dermafed.shared.errors import SettingsError, StorageError
from tests.client.certificates import certificate
from tests.client.clinic.dicom.conftest import Open
from tests.client.clinic.dicom.dicom_node import Node
from tests.client.clinic.dicom.dicom_objects import (
    DERMOSCOPIC,
    PHOTOGRAPHIC,
    SECONDARY_CAPTURE,
    as_file,
    draw_jpeg,
    encapsulated,
    uncompressed,
)
from tests.client.clinic.dicom.sending import Sender
from tests.client.clinic.stores import fill_disk
from tests.ports import free_port


def test_an_echo_is_answered(open_port: Open) -> None:
    assert open_port().echo() == 0x0000


@pytest.mark.parametrize("kind", [DERMOSCOPIC, PHOTOGRAPHIC, SECONDARY_CAPTURE])
def test_an_object_is_diagnosed_and_saved_before_success(open_port: Open, node: Node, kind: str) -> None:
    status = open_port().store(encapsulated(draw_jpeg(), kind))
    assert status == 0x0000
    (diagnosis,) = node.diagnoses
    assert (diagnosis.device, diagnosis.request) == ("camera-1", "2.25.1003")
    assert (diagnosis.clinical.age, diagnosis.clinical.sex) == (54, "female")
    assert node.diagnosed == [diagnosis.id]


def test_the_numbers_are_those_of_the_same_file_by_any_other_way(open_port: Open, node: Node) -> None:
    jpeg = draw_jpeg(5)
    dataset = encapsulated(jpeg)
    open_port().store(dataset)
    (diagnosis,) = node.diagnoses
    for received in (receive(as_file(dataset)), receive(jpeg)):
        assert node.service.diagnose(received, "another").probabilities == diagnosis.probabilities


def test_uncompressed_and_deflated_objects_are_accepted(open_port: Open, node: Node) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (80, 90, 3), dtype=np.uint8)
    sender = open_port()
    assert sender.store(uncompressed(pixels)) == 0x0000
    deflated = uncompressed(pixels, instance="2.25.9")
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert sender.store(deflated) == 0x0000
    assert len(node.diagnoses) == 2


def test_an_object_sent_again_gets_its_first_diagnosis(open_port: Open, node: Node) -> None:
    sender = open_port()
    assert [sender.store(encapsulated(draw_jpeg())) for _ in range(2)] == [0x0000, 0x0000]
    assert len(node.diagnoses) == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"BurnedInAnnotation": "YES"}, 0xC001),
        ({"NumberOfFrames": 2}, 0xC000),
        ({"Rows": 17}, 0xC000),
        ({"PhotometricInterpretation": "HSV"}, 0xC000),
    ],
)
def test_unusable_objects_are_refused_with_a_reason(
    open_port: Open, node: Node, change: dict[str, object], status: int
) -> None:
    answer = open_port().send(encapsulated(draw_jpeg(), **change))
    assert answer.Status == status
    assert answer.ErrorComment
    assert node.diagnoses == []
    assert [each[1:] for each in node.quarantined] == (
        [("burned-in", "camera-1")] if status == 0xC001 else []
    )


def test_another_object_of_the_same_name_is_refused(open_port: Open, node: Node) -> None:
    sender = open_port()
    sender.store(encapsulated(draw_jpeg(1)))
    assert sender.store(encapsulated(draw_jpeg(2))) == 0xC002
    assert len(node.diagnoses) == 1


def test_an_object_that_is_not_the_announced_one_is_refused(open_port: Open, node: Node) -> None:
    dataset = encapsulated(draw_jpeg())
    assert open_port().store(dataset, announced="2.25.4711") == 0xA900
    assert node.diagnoses == []


def test_a_full_disk_is_a_failure_that_names_no_path(
    open_port: Open, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_disk(node.store, monkeypatch)
    answer = open_port().send(encapsulated(draw_jpeg()))
    assert answer.Status == 0xA700
    assert "secret" not in answer.ErrorComment
    assert node.diagnosed == []


def test_an_object_that_could_not_be_quarantined_may_be_sent_again(
    open_port: Open, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageError("Cannot write: No space left on device")

    monkeypatch.setattr(node.store, "quarantine", full)
    assert open_port().store(encapsulated(draw_jpeg(), BurnedInAnnotation="YES")) == 0xA700


def test_an_internal_error_is_answered(open_port: Open, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Beispiel^Bärbel")

    monkeypatch.setattr(node.service, "diagnose", fail)
    answer = open_port().send(encapsulated(draw_jpeg()))
    assert (answer.Status, answer.ErrorComment) == (0x0110, "The node failed")


@pytest.mark.parametrize(("calling", "called"), [("STRANGER", "DERMAFED"), ("CAMERA", "OTHER")])
def test_an_unknown_peer_is_rejected(open_port: Open, calling: str, called: str) -> None:
    sender = open_port()
    # On a busy machine the connection may close before the sender has read the rejection.
    with pytest.raises(ConnectionError, match=r"rejected|no association"):
        sender.store(encapsulated(draw_jpeg()), calling=calling, called=called)


@pytest.mark.parametrize(
    ("kind", "syntax"), [(CTImageStorage, None), (DERMOSCOPIC, ExplicitVRBigEndian)]
)  # fmt: skip
def test_other_classes_and_syntaxes_are_not_negotiated(
    open_port: Open, kind: str, syntax: str | None
) -> None:
    assert not open_port().agrees_on(kind, syntax)


def test_the_limit_is_for_each_object_of_an_association(open_port: Open, node: Node) -> None:
    pixels = [np.random.default_rng(seed).integers(0, 256, (400, 500, 3), np.uint8) for seed in range(4)]
    sender = open_port(max_object_mib=1)  # 0.6 MiB each
    statuses = sender.store_all(
        [uncompressed(each, instance=f"2.25.{at}") for at, each in enumerate(pixels, 1)]
    )
    assert statuses == [0x0000] * 4
    assert len(node.diagnoses) == 4


def test_simultaneous_senders_get_a_diagnosis_each(open_port: Open, node: Node) -> None:
    sender = open_port()
    objects = [encapsulated(draw_jpeg(seed), instance=f"2.25.{seed}") for seed in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(sender.store, objects)) == [0x0000] * 8
    assert len({each.request for each in node.diagnoses}) == 8


def test_tls_with_the_peers_certificate(open_port: Open, node: Node, tmp_path: Path) -> None:
    files = certificate(tmp_path)
    tls = {"certificate": files.chain, "key": files.key}
    sender = open_port(**tls)
    with pytest.raises(ConnectionError):
        sender.echo()
    assert sender.store(encapsulated(draw_jpeg()), ca=files.ca) == 0x0000
    assert len(node.diagnoses) == 1


def test_a_port_in_use_is_an_error_that_names_it(open_port: Open, node: Node) -> None:
    port = open_port().port
    with pytest.raises(SettingsError, match=str(port)):
        open_port(port=port)


def test_a_closed_port_is_closed(node: Node) -> None:
    settings = DicomSettings.model_validate({"devices": {"CAMERA": "camera-1"}, "port": free_port()})
    stop = start_receiver(node.service, settings)
    sender = Sender(settings.port)
    assert sender.echo() == 0x0000
    stop()
    with pytest.raises(ConnectionError):
        sender.echo()

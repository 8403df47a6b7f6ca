"""STOW-RS through a real server: the answers that PS3.18 asks for, and the diagnoses behind them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Annotated

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse
from pydicom import Dataset
from pydicom.uid import JPEG2000Lossless

from dermafed.client.clinic.dicom.multipart import write_related
from dermafed.client.clinic.dicom.stow import stow_router
from dermafed.client.clinic.intake.receive import receive
from dermafed.client.clinic.intake.refusals import Refused
from tests.client.clinic.dicom.dicom_node import Node
from tests.client.clinic.dicom.dicom_objects import (
    DERMOSCOPIC,
    INSTANCE,
    STUDY,
    as_file,
    draw_jpeg,
    encapsulated,
)
from tests.client.clinic.stores import fill_disk
from tests.ports import free_port

Post = Callable[..., httpx.Response]


def application(node: Node) -> FastAPI:
    app = FastAPI()

    def device(who: Annotated[str, Header()] = "camera-1") -> str:
        return who

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> JSONResponse:
        return JSONResponse(error.to_dict(), error.status)

    app.include_router(stow_router(node.service, device, max_bytes=2**20))
    return app


@pytest.fixture
def post(node: Node) -> Iterator[Post]:
    """Sends objects to a server on loopback."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(application(node), port=port, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)

    def send(*files: bytes, study: str = "", **headers: str) -> httpx.Response:
        body, content_type = write_related(files)
        url = f"http://127.0.0.1:{port}/dicomweb/studies{study and '/'}{study}"
        return httpx.post(url, content=body, headers={"content-type": content_type} | headers, timeout=300)

    yield send
    server.should_exit = True
    thread.join()


def parsed(response: httpx.Response) -> Dataset:
    assert response.headers["content-type"] == "application/dicom+json"
    return Dataset.from_json(response.text)


def test_an_object_is_diagnosed_and_its_diagnosis_linked(post: Post, node: Node) -> None:
    file = as_file(encapsulated(draw_jpeg()))
    response = post(file)
    assert response.status_code == 200
    (item,) = parsed(response).ReferencedSOPSequence
    assert (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) == (DERMOSCOPIC, INSTANCE)
    (diagnosis,) = node.diagnoses
    assert (diagnosis.device, diagnosis.request) == ("camera-1", INSTANCE)
    link = f'</v1/diagnoses/{diagnosis.id}>; rel="describedby"; anchor="urn:oid:{INSTANCE}"'
    assert response.headers["link"] == link
    assert diagnosis.probabilities == node.service.diagnose(receive(file), "other").probabilities


def test_the_study_of_the_address_is_the_objects(post: Post, node: Node) -> None:
    file = as_file(encapsulated(draw_jpeg()))
    assert post(file, study=STUDY).status_code == 200
    response = post(file, study="2.25.9")
    assert response.status_code == 409
    (item,) = parsed(response).FailedSOPSequence
    assert (item.ReferencedSOPInstanceUID, item.FailureReason) == (INSTANCE, 0xA900)


def test_accepted_and_refused_objects_are_listed_apart(post: Post, node: Node) -> None:
    good, burned = (as_file(encapsulated(draw_jpeg(seed), instance=f"2.25.{seed}")) for seed in (1, 2))
    burned = as_file(encapsulated(draw_jpeg(2), instance="2.25.2", BurnedInAnnotation="YES"))
    response = post(good, burned, b"no DICOM")
    assert response.status_code == 202
    answer = parsed(response)
    assert [each.ReferencedSOPInstanceUID for each in answer.ReferencedSOPSequence] == ["2.25.1"]
    (failed,), (nameless,) = answer.FailedSOPSequence, answer.OtherFailuresSequence
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("2.25.2", 0xC001)
    assert (nameless.FailureReason, "ReferencedSOPInstanceUID" in nameless) == (0xC000, False)
    assert node.quarantined == [(burned, "burned-in", "camera-1")]
    assert len(node.diagnoses) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, 0x0122),
        ({"NumberOfFrames": 2}, 0xC000),
        ({"Rows": 3}, 0xC000),
    ],
)
def test_a_request_without_an_accepted_object_is_a_conflict_with_reasons(
    post: Post, change: dict[str, object], reason: int
) -> None:
    response = post(as_file(encapsulated(draw_jpeg(), **change)))
    assert response.status_code == 409
    assert [each.FailureReason for each in parsed(response).FailedSOPSequence] == [reason]
    assert "link" not in response.headers


def test_an_unsupported_transfer_syntax_has_its_own_reason(post: Post) -> None:
    dataset = encapsulated(draw_jpeg())
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    assert parsed(post(as_file(dataset))).FailedSOPSequence[0].FailureReason == 0xC122


def test_the_same_object_twice_is_one_diagnosis_and_another_of_its_name_is_refused(
    post: Post, node: Node
) -> None:
    file = as_file(encapsulated(draw_jpeg(1)))
    first, second = post(file), post(file)
    assert (second.status_code, second.headers["link"]) == (200, first.headers["link"])
    other = post(as_file(encapsulated(draw_jpeg(2))))
    assert (other.status_code, parsed(other).FailedSOPSequence[0].FailureReason) == (409, 0xC002)
    assert post(as_file(encapsulated(draw_jpeg(2))), who="camera-2").status_code == 200
    assert len(node.diagnoses) == 2


def test_a_full_disk_asks_for_another_try(post: Post, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_disk(node.store, monkeypatch)
    response = post(as_file(encapsulated(draw_jpeg())))
    assert response.status_code == 503
    assert parsed(response).FailedSOPSequence[0].FailureReason == 0xA700


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/dicom"}, 415),
        ({"content-type": 'multipart/related; type="application/dicom+xml"; boundary=x'}, 415),
        ({"content-type": 'multipart/related; type="application/dicom"; boundary=x'}, 400),
        ({"accept": "application/dicom+xml"}, 406),
        ({"accept": "text/html, application/dicom+json;q=0.9"}, 200),
    ],
)
def test_unsupported_types_are_refused(post: Post, headers: dict[str, str], status: int) -> None:
    assert post(as_file(encapsulated(draw_jpeg())), **headers).status_code == status


def test_a_body_beyond_the_limit_is_refused(post: Post) -> None:
    assert post(bytes(2**20)).status_code == 413


def test_openapi_describes_it(node: Node) -> None:
    paths = application(node).openapi()["paths"]
    assert set(paths) == {"/dicomweb/studies", "/dicomweb/studies/{study}"}
    assert all("409" in each["post"]["responses"] for each in paths.values())

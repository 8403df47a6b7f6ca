"""STOW-RS: DICOM objects by HTTP (PS3.18, 10.5)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydicom import Dataset
from starlette.concurrency import run_in_threadpool

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.dicom.instance import UIDs, announced_uids, diagnose_instance
from dermafed.client.clinic.dicom.multipart import read_related
from dermafed.client.clinic.intake.refusals import Refused, refusal_of
from dermafed.client.clinic.service import DiagnosticService
from dermafed.shared.errors import StorageError

log = logging.getLogger("dermafed.dicom")

MEDIA_TYPE = "application/dicom+json"
_ACCEPTED = (MEDIA_TYPE, "application/json", "application/*", "*/*")
_DOCUMENTED = {"content": {'multipart/related; type="application/dicom"': {"schema": {"type": "string"}}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Every object has a diagnosis; the Link header has its address"},
    202: {"description": "Some objects have a diagnosis; the others have a failure reason"},
    400: {"description": "The body is malformed"},
    409: {"description": "No object could be diagnosed; each has a failure reason"},
    415: {"description": "The body, or a part of it, is not of a type that is accepted"},
    503: {"description": "Nothing could be saved; send it again later"},
}


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The outcome of one object: a diagnosis or an error."""

    uids: UIDs | None
    diagnosis: Diagnosis | None = None
    error: Exception | None = None


def stow_router(
    service: DiagnosticService,
    device: Callable[..., Any],
    max_bytes: int,
    run: Callable[..., Awaitable[Any]] = run_in_threadpool,
) -> APIRouter:
    """The routes of the store transaction: ``POST /dicomweb/studies`` and ``/dicomweb/studies/{study}``.

    Args:
        service: diagnoses and saves.
        device: a dependency that gives the sender's name.
        max_bytes: largest request in bytes.
        run: calls a function in a thread.
    """
    router = APIRouter(
        prefix="/dicomweb", tags=["dicom"], responses=_ANSWERS, default_response_class=JSONResponse
    )
    body = {"requestBody": _DOCUMENTED}

    async def store(request: Request, sender: str, announced: dict[str, str]) -> JSONResponse:
        _check_accepted(request.headers.get("accept", "*/*"))
        files = await read_related(request.headers.get("content-type", ""), request.stream(), max_bytes)
        return _answer([await run(partial(_outcome, service, file, sender, announced)) for file in files])

    @router.post("/studies", openapi_extra=body)
    async def store_any(request: Request, sender: str = Depends(device)) -> JSONResponse:
        """Diagnose DICOM objects; each diagnosis is saved before this answers."""
        return await store(request, sender, {})

    @router.post("/studies/{study}", openapi_extra=body)
    async def store_study(request: Request, study: str, sender: str = Depends(device)) -> JSONResponse:
        """Diagnose DICOM objects of one study; see the other."""
        return await store(request, sender, {"StudyInstanceUID": study})

    return router


def _outcome(service: DiagnosticService, file: bytes, sender: str, announced: dict[str, str]) -> _Outcome:
    try:
        uids, diagnosis = diagnose_instance(service, file, sender, announced)
    except Exception as error:  # the other objects get their answer, whatever happened to this one
        log.warning("STOW-RS of %s: %s", sender, getattr(error, "code", type(error).__name__))
        return _Outcome(announced_uids(file), error=error)
    return _Outcome(uids, diagnosis)


def _answer(outcomes: list[_Outcome]) -> JSONResponse:
    links = [
        f'</v1/diagnoses/{each.diagnosis.id}>; rel="describedby"; anchor="urn:oid:{each.diagnosis.request}"'
        for each in outcomes
        if each.diagnosis
    ]
    return JSONResponse(
        _response(outcomes).to_json_dict(),
        _status(outcomes),
        headers={"Link": ", ".join(links)} if links else None,
        media_type=MEDIA_TYPE,
    )


def _status(outcomes: list[_Outcome]) -> int:
    failures = [each.error for each in outcomes if each.error is not None]
    if len(failures) < len(outcomes):
        return 202 if failures else 200
    return 503 if any(isinstance(error, StorageError) for error in failures) else 409


def _response(outcomes: list[_Outcome]) -> Dataset:
    """The response module (PS3.18, annex I): what was stored, what failed, and what failed without UIDs."""
    answer = Dataset()
    stored = [_item(each) for each in outcomes if each.diagnosis]
    failed = [_item(each) for each in outcomes if each.error and each.uids]
    unnamed = [_item(each) for each in outcomes if each.error and not each.uids]
    if stored:
        answer.ReferencedSOPSequence = stored
    if failed:
        answer.FailedSOPSequence = failed
    if unnamed:
        answer.OtherFailuresSequence = unnamed
    return answer


def _item(outcome: _Outcome) -> Dataset:
    item = Dataset()
    if outcome.uids:
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = outcome.uids
    if outcome.error:
        item.FailureReason = refusal_of(outcome.error).dicom_status
    return item


def _check_accepted(accept: str) -> None:
    kinds = [each.partition(";")[0].strip().lower() for each in accept.split(",")]
    if not set(kinds) & set(_ACCEPTED):
        what = "The answer has a type that the request does not accept"
        raise Refused("not-acceptable", what, where="Accept", remedy=f"Accept {MEDIA_TYPE}")

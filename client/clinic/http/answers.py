"""A diagnosis for other systems: in FHIR, and in DICOM; and DICOM objects in, by STOW-RS."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from dermafed.client.clinic.answers.dicom import Kind, dicom_body
from dermafed.client.clinic.answers.fhir import to_fhir
from dermafed.client.clinic.dicom.stow import stow_router
from dermafed.client.clinic.http.api import REFUSED, Anyone
from dermafed.client.clinic.http.callers import allowed
from dermafed.client.clinic.http.diagnosis_service import Desk
from dermafed.client.clinic.http.tokens import Caller
from dermafed.client.clinic.intake.refusals import Refused


def answers_router(desk: Desk) -> APIRouter:
    """The routes of ``/v1/diagnoses/{id}`` that other systems read; the heatmap is part of both."""
    router = APIRouter(prefix="/v1/diagnoses", responses=REFUSED, tags=["diagnoses"])

    @router.get("/{id}/fhir", response_class=Response)
    async def fhir(id: str, caller: Anyone) -> Response:
        """A FHIR R4 bundle: a preliminary report, a probability of every class, the heatmap."""
        with desk.work.place():
            bundle = await desk.work.run(_bundle, desk, id, caller)
        return Response(json.dumps(bundle, ensure_ascii=False), media_type="application/fhir+json")

    @router.get("/{id}/dicom", response_class=Response)
    async def dicom(id: str, caller: Anyone, kind: Kind | None = None) -> Response:
        """The heatmap as Secondary Capture (`sc`), the probabilities as a report (`sr`); both by default."""
        with desk.work.place():
            await desk.work.run(desk.find, id, caller)
            body, media = await desk.work.run(dicom_body, desk.service, desk.store.reference, id, kind)
        return Response(body, media_type=media)

    return router


def dicom_in(desk: Desk, max_bytes: int) -> APIRouter:
    """The routes of STOW-RS, for devices.

    Args:
        desk: does the work.
        max_bytes: of one request.
    """

    def sender(caller: Annotated[Caller, Depends(allowed("device"))]) -> str:
        return caller.name

    async def run(call: Any) -> Any:
        with desk.work.place():
            return await desk.work.run(call)

    return stow_router(desk.service, desk.store.quarantine, sender, max_bytes, run)


def _bundle(desk: Desk, id: str, caller: Caller) -> dict[str, Any]:
    said = desk.find(id, caller)
    try:
        return to_fhir(said, desk.overlay(id, None, None))
    except Refused:  # its image has expired
        return to_fhir(said)

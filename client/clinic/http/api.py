"""The API, version 1: images in, diagnoses and heatmaps out."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from dermafed.client.clinic.answers.dicom_source import to_file
from dermafed.client.clinic.answers.fhir import to_fhir
from dermafed.client.clinic.answers.other_model import words_of_map
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.dicom.multipart import write_related
from dermafed.client.clinic.http.access import require_role
from dermafed.client.clinic.http.limits import WorkPool
from dermafed.client.clinic.http.monitoring import Metrics
from dermafed.client.clinic.http.pictures import (
    Draw,
    describe_heatmap,
    draw_heat,
    draw_image,
    draw_lesion,
    draw_overlay,
    draw_thumbnail,
)
from dermafed.client.clinic.http.schema import (
    DiagnosisAnswer,
    ErrorAnswer,
    HeatmapAnswer,
    OpinionAnswer,
    OpinionGiven,
)
from dermafed.client.clinic.http.tokens import Caller
from dermafed.client.clinic.http.upload import UPLOAD_BODY, read_parts, split_parts
from dermafed.client.clinic.intake.receive import receive
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.service import DiagnosticService, Kind
from dermafed.client.clinic.store.opinions import Opinion
from dermafed.client.clinic.store.store import Store

Anyone = Annotated[Caller, Depends(require_role("device", "clinician"))]
Clinician = Annotated[Caller, Depends(require_role("clinician"))]
Class = Annotated[str | None, Query(alias="class", description="By default the predicted one.")]
Against = Annotated[str | None, Query(description="Another class: why 'class' rather than this.")]
Method = Annotated[str | None, Query(description="By default the model's own; scorecam always.")]

ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorAnswer}, "5XX": {"model": ErrorAnswer}}
_PNG: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"content": {"image/png": {}}, "description": "The picture"}},
}


def api_router(service: DiagnosticService, pool: WorkPool, metrics: Metrics) -> APIRouter:
    """The routes of ``/v1``.

    Args:
        service: diagnoses and saves.
        pool: runs what takes long.
        metrics: count the diagnoses.
    """
    router = APIRouter(prefix="/v1/diagnoses", responses=ERRORS, tags=["diagnoses"])
    store = service.store

    @router.post(
        "", response_model=DiagnosisAnswer, response_model_exclude_unset=True, openapi_extra=UPLOAD_BODY
    )
    async def diagnose(request: Request, caller: Anyone) -> dict[str, Any]:
        """Diagnose an image. The same sender's same `request` with the same image gets the same diagnosis."""
        with pool.slot():  # from the body's first byte on
            parts = await read_parts(request)
            diagnosis = await pool.run(_diagnose, service, parts, caller)
        metrics.diagnoses.inc()
        return diagnosis.to_dict()

    @router.get("/{id}", response_model=DiagnosisAnswer, response_model_exclude_unset=True)
    async def read(id: str, caller: Anyone) -> dict[str, Any]:
        """A diagnosis; devices read their own only."""
        return (await pool.run(view_diagnosis, store, id, caller)).to_dict()

    @router.get("/{id}/heatmap.png", **_PNG)
    async def heatmap(
        id: str, caller: Anyone, target: Class = None, against: Against = None, method: Method = None
    ) -> Response:
        """What moved the score, laid over what the network saw. It does not outline the lesion."""
        return await _picture(id, caller, draw_overlay, target, against, method)

    @router.get("/{id}/heat.png", **_PNG)
    async def heat(
        id: str, caller: Anyone, target: Class = None, against: Against = None, method: Method = None
    ) -> Response:
        """The same alone, transparent where it is low, in the proportions of the image that came."""
        return await _picture(id, caller, draw_heat, target, against, method)

    @router.get("/{id}/heatmap.json", response_model=HeatmapAnswer)
    async def describe(
        id: str, caller: Anyone, target: Class = None, against: Against = None, method: Method = None
    ) -> dict[str, Any]:
        """What is known of a heatmap: whether another class would have another one."""
        with pool.slot():
            await pool.run(find_diagnosis, store, id, caller)
            return await pool.run(describe_heatmap, service, id, target, against, method)

    @router.get("/{id}/image.jpg", response_class=Response)
    async def image(id: str, caller: Anyone, whole: bool = False) -> Response:
        """The image at a size for a screen, or at its own resolution; dimmed where the model did not look."""
        await pool.run(find_diagnosis, store, id, caller)
        return Response(await pool.run(draw_image, service, id, whole), media_type="image/jpeg")

    @router.get("/{id}/thumbnail.jpg", response_class=Response)
    async def thumbnail(id: str, caller: Anyone) -> Response:
        """The image, small, for a list."""
        await pool.run(find_diagnosis, store, id, caller)
        return Response(await pool.run(draw_thumbnail, service, id), media_type="image/jpeg")

    @router.post("/{id}/opinions", response_model=OpinionAnswer)
    async def opine(id: str, given: OpinionGiven, caller: Clinician) -> dict[str, Any]:
        """Agree or disagree with a diagnosis."""
        opinion = Opinion(who=caller.name, **given.model_dump())
        return asdict(await pool.run(store.add_opinion, id, opinion))

    @router.delete("/{id}/opinions", response_model=list[OpinionAnswer])
    async def withdraw(id: str, caller: Clinician) -> list[dict[str, Any]]:
        """Withdraw one's own opinion; returns all of the diagnosis, each with its standing."""
        await pool.run(store.withdraw_opinion, id, caller.name)
        return [asdict(each) for each in await pool.run(store.list_opinions, id)]

    @router.get("/{id}/opinions", response_model=list[OpinionAnswer])
    async def opinions(id: str, caller: Clinician) -> list[dict[str, Any]]:
        """The opinions on a diagnosis, oldest first; of each clinician the latest counts."""
        return [asdict(each) for each in await pool.run(store.list_opinions, id)]

    async def _picture(
        id: str, caller: Caller, draw: Draw, target: str | None, against: str | None, method: str | None
    ) -> Response:
        with pool.slot():
            await pool.run(find_diagnosis, store, id, caller)
            drawn = await pool.run(draw, service, id, target, against, method)
        return Response(drawn, media_type="image/png")

    return router


def export_router(service: DiagnosticService, pool: WorkPool) -> APIRouter:
    """The routes of ``/v1/diagnoses/{id}`` that other systems read; the heatmap is part of both."""
    router = APIRouter(prefix="/v1/diagnoses", responses=ERRORS, tags=["diagnoses"])
    store = service.store

    @router.get("/{id}/fhir", response_class=Response)
    async def fhir(id: str, caller: Anyone) -> Response:
        """A FHIR R4 bundle: a preliminary report, a probability of every class, the heatmap."""
        with pool.slot():
            bundle = await pool.run(_bundle, service, id, caller)
        return Response(json.dumps(bundle, ensure_ascii=False), media_type="application/fhir+json")

    @router.get("/{id}/dicom", response_class=Response)
    async def dicom(id: str, caller: Anyone, kind: Kind | None = None) -> Response:
        """The heatmap as Secondary Capture (`sc`), the probabilities as a report (`sr`), and, where
        a lesion was found in a DICOM object, its outline as a segmentation (`seg`); all by default.
        """
        with pool.slot():
            await pool.run(find_diagnosis, store, id, caller)
            files = await pool.run(_dicom_files, service, id, kind)
        if kind is not None:
            return Response(files[0], media_type="application/dicom")
        body, media_type = write_related(files)
        return Response(body, media_type=media_type)

    return router


def _dicom_files(service: DiagnosticService, id: str, kind: Kind | None) -> list[bytes]:
    kinds = service.dicom_kinds(id) if kind is None else (kind,)
    return [to_file(service.dicom_answer(id, kind)) for kind in kinds]


def find_diagnosis(store: Store, id: str, caller: Caller) -> Diagnosis:
    """A diagnosis that the caller may see.

    Raises:
        Refused: there is none, or it is another device's (404).
    """
    found = store.load(id)
    if caller.role == "device" and found.device != caller.name:
        raise Refused("unknown", "There is no such diagnosis", remedy="Check its id")
    return found


def view_diagnosis(store: Store, id: str, caller: Caller) -> Diagnosis:
    """The same, and records that a clinician viewed it."""
    found = find_diagnosis(store, id, caller)
    if caller.role == "clinician":
        store.add_view(id, caller.name)
    return found


def _diagnose(service: DiagnosticService, parts: dict[str, bytes], caller: Caller) -> Diagnosis:
    data, clinical, request, scale = split_parts(parts)
    quarantine = service.store.quarantine
    received = receive(data, clinical, device=caller.name, quarantine=quarantine, mm_per_pixel=scale)
    return service.diagnose(received, caller.name, request, uploaded=caller.role == "clinician")


def _bundle(service: DiagnosticService, id: str, caller: Caller) -> dict[str, Any]:
    diagnosis = find_diagnosis(service.store, id, caller)
    try:
        overlay, mask = draw_overlay(service, id), draw_lesion(service, diagnosis)
        words = words_of_map(service.heatmap(id), diagnosis, service.diagnoser.model.used)
        return to_fhir(diagnosis, overlay, mask, words)
    except Refused:  # its image has expired
        return to_fhir(diagnosis)

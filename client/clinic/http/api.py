"""The API, version 1: images in, diagnoses and heatmaps out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from dermafed.client.clinic.http.callers import allowed
from dermafed.client.clinic.http.diagnosis_service import Desk
from dermafed.client.clinic.http.schema import DiagnosisAnswer, ErrorAnswer, OpinionAnswer, OpinionGiven
from dermafed.client.clinic.http.tokens import Caller
from dermafed.client.clinic.http.upload import DOCUMENTED

Anyone = Annotated[Caller, Depends(allowed("device", "clinician"))]
Clinician = Annotated[Caller, Depends(allowed("clinician"))]
Class = Annotated[str | None, Query(alias="class", description="By default the predicted one.")]
Against = Annotated[str | None, Query(description="Another class: why 'class' rather than this.")]

REFUSED: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorAnswer}, "5XX": {"model": ErrorAnswer}}
_PNG: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"content": {"image/png": {}}, "description": "The picture"}},
}


def api_router(desk: Desk) -> APIRouter:
    """The routes of ``/v1``.

    Args:
        desk: does the work.
    """
    router = APIRouter(prefix="/v1/diagnoses", responses=REFUSED, tags=["diagnoses"])

    @router.post("", response_model=DiagnosisAnswer, openapi_extra=DOCUMENTED)
    async def diagnose(request: Request, caller: Anyone) -> dict[str, Any]:
        """Diagnose an image. The same sender's same `request` with the same image gets the same diagnosis."""
        return (await desk.diagnose(request, caller)).to_dict()

    @router.get("/{id}", response_model=DiagnosisAnswer)
    async def read(id: str, caller: Anyone) -> dict[str, Any]:
        """A diagnosis; devices read their own only."""
        return (await desk.work.run(desk.look, id, caller)).to_dict()

    @router.get("/{id}/heatmap.png", **_PNG)
    async def heatmap(id: str, caller: Anyone, target: Class = None, against: Against = None) -> Response:
        """What moved the score, laid over what the network saw. It does not outline the lesion."""
        return await _picture(id, caller, desk.overlay, target, against)

    @router.get("/{id}/heat.png", **_PNG)
    async def heat(id: str, caller: Anyone, target: Class = None, against: Against = None) -> Response:
        """The same alone, transparent where it is low, in the proportions of the image that came."""
        return await _picture(id, caller, desk.heat, target, against)

    @router.get("/{id}/image.jpg", response_class=Response)
    async def image(id: str, caller: Anyone) -> Response:
        """The image at a size for a screen, dimmed where the model did not look."""
        await desk.work.run(desk.find, id, caller)
        return Response(await desk.work.run(desk.shown, id), media_type="image/jpeg")

    @router.post("/{id}/opinions", response_model=OpinionAnswer)
    async def opine(id: str, given: OpinionGiven, caller: Clinician) -> dict[str, Any]:
        """Agree or disagree with a diagnosis."""
        return asdict(await desk.work.run(desk.say, id, caller, given))

    async def _picture(
        id: str,
        caller: Caller,
        draw: Callable[[str, str | None, str | None], bytes],
        target: str | None,
        against: str | None,
    ) -> Response:
        with desk.work.place():
            await desk.work.run(desk.find, id, caller)
            return Response(await desk.work.run(draw, id, target, against), media_type="image/png")

    return router

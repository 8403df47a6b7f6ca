"""The routes of similar cases: those of this clinic, and for its clinicians only."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from dermafed.client.clinic.http.api import ERRORS, Clinician
from dermafed.client.clinic.http.limits import WorkPool
from dermafed.client.clinic.http.pictures import draw_case
from dermafed.client.clinic.http.schema import SimilarAnswer
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.similar.similar_cases import NONE, NOTE


def similar_router(service: DiagnosticService, pool: WorkPool) -> APIRouter:
    """The routes of similar cases.

    Args:
        service: has the diagnoses, and searches the cases.
        pool: runs what takes long.
    """
    router = APIRouter(prefix="/v1", responses=ERRORS, tags=["similar cases"])

    @router.get("/diagnoses/{id}/similar", response_model=SimilarAnswer)
    async def similar(id: str, caller: Clinician) -> dict[str, Any]:
        """The confirmed cases of this clinic that are most alike to the model: not a vote, no diagnosis."""
        with pool.slot():
            found = await pool.run(service.similar_cases, id)
        cases = [{**each.to_dict(), "image": f"/v1/cases/{each.case.sha256}.jpg"} for each in found or []]
        return {"cases": cases, "note": NONE if found is None else NOTE}

    @router.get("/cases/{sha256}.jpg", response_class=Response)
    async def image(sha256: str, caller: Clinician) -> Response:
        """The image of a case."""
        with pool.slot():
            drawn = await pool.run(draw_case, service, sha256)
        return Response(drawn, media_type="image/jpeg")

    return router

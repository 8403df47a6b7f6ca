"""What a clinician takes away from the page: a diagnosis on one sheet, and the worklist of a day."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import RedirectResponse, Response

from dermafed.client.clinic.answers.summary_pdf import summary_pdf
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.http.api import Clinician, view_diagnosis
from dermafed.client.clinic.http.composed import Look, compose
from dermafed.client.clinic.http.limits import WorkPool
from dermafed.client.clinic.http.worklist import has_seen, worklist_of_day
from dermafed.client.clinic.http.worklist_csv import worklist_csv
from dermafed.client.clinic.service import DiagnosticService

Class = Annotated[str | None, Query(alias="class")]
Percent = Annotated[int, Query(ge=0, le=100)]


def take_away_router(service: DiagnosticService, pool: WorkPool, impression_first: bool) -> APIRouter:
    """The routes of what is taken away; each needs a clinician.

    Args:
        service: has the diagnoses.
        pool: runs what takes long.
        impression_first: whether a clinician's own impression comes before the model's answer.
    """
    router = APIRouter(include_in_schema=False, default_response_class=Response)
    store = service.store

    @router.get("/diagnoses/{id}/summary.pdf")
    async def summary(
        id: str,
        caller: Clinician,
        target: Class = None,
        against: str | None = None,
        method: str | None = None,
        opacity: Percent = 60,
        outline: bool = False,
    ) -> Response:
        found = await pool.run(view_diagnosis, store, id, caller)
        opinions = await pool.run(store.list_opinions, id)
        impressions = await pool.run(store.list_impressions, id)
        if not has_seen(caller.name if impression_first else None, opinions, impressions):
            return RedirectResponse(f"/diagnoses/{id}", 303)
        look = Look(target, against, method, opacity / 100, outline)
        with pool.slot():
            pdf = await pool.run(_summary, service, found, look)
        return _file(pdf, "application/pdf", f"diagnosis-{id[:8]}.pdf")

    @router.get("/day/{day}/worklist.csv")
    async def worklist(day: date, caller: Clinician) -> Response:
        who = caller.name if impression_first else None
        found = await pool.run(worklist_of_day, store, day, "all", who)
        # The mark tells spreadsheets that it is UTF-8.
        return _file(worklist_csv(found.rows).encode("utf-8-sig"), "text/csv", f"worklist-{day}.csv")

    return router


def _summary(service: DiagnosticService, diagnosis: Diagnosis, look: Look) -> bytes:
    pictures = compose(service, diagnosis, look)
    return summary_pdf(diagnosis, service.store.lesions.lesion_of(diagnosis.id), pictures)


def _file(data: bytes, media_type: str, name: str) -> Response:
    return Response(
        data, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'}
    )

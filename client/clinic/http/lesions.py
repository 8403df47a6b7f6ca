"""Lesions of several images: which image shows which, and a page of each lesion; for clinicians only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from dermafed.client.clinic.http.api import ERRORS, Clinician
from dermafed.client.clinic.http.lesion_history import lesion_history
from dermafed.client.clinic.http.limits import WorkPool
from dermafed.client.clinic.http.schema import LesionGiven, LesionOf
from dermafed.client.clinic.http.worklist import rows_of_lesion
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store.lesions import read_lesion
from dermafed.client.clinic.store.store import Store


def lesion_router(store: Store, pool: WorkPool) -> APIRouter:
    """The routes of ``/v1`` about lesions.

    Args:
        store: of the clinic.
        pool: runs what takes long.
    """
    router = APIRouter(prefix="/v1", responses=ERRORS, tags=["lesions"])

    @router.post("/diagnoses/{id}/lesion", response_model=LesionOf)
    async def assign(id: str, given: LesionGiven, caller: Clinician) -> dict[str, Any]:
        """Assign an image to a lesion, or to a new one."""
        lesion = None if given.lesion is None else number_of(given.lesion)
        return {"lesion": await pool.run(store.lesions.assign, id, caller.name, lesion)}

    @router.delete("/diagnoses/{id}/lesion", response_model=LesionOf)
    async def take_out(id: str, caller: Clinician) -> dict[str, Any]:
        """Let an image be of no lesion."""
        await pool.run(store.lesions.take_out, id, caller.name)
        return {"lesion": None}

    @router.get("/lesions/{lesion}", response_model=LesionOf)
    async def find(lesion: str, caller: Clinician) -> dict[str, Any]:
        """A lesion's number as the page writes it, if it was given."""
        number = number_of(lesion)
        await pool.run(store.lesions.check, number)
        return {"lesion": number}

    return router


def lesion_page_router(
    store: Store, pool: WorkPool, render: Callable[..., Response], impression_first: bool
) -> APIRouter:
    """The page of a lesion.

    Args:
        store: of the clinic.
        pool: runs what takes long.
        render: a template, from its file name and values.
        impression_first: whether a clinician's own impression comes before the model's answer.
    """
    router = APIRouter(include_in_schema=False, default_response_class=Response)

    @router.get("/lesions/{lesion}")
    async def history(lesion: str, caller: Clinician) -> Response:
        number, who = number_of(lesion), caller.name if impression_first else None
        rows = await pool.run(rows_of_lesion, store, number, who)
        return render("lesion.html", caller=caller, lesion=number, history=lesion_history(rows))

    return router


def number_of(text: str) -> str:
    """A lesion's number as the page writes it.

    Raises:
        Refused: it is none (404).
    """
    number = read_lesion(text)
    if number is None:
        remedy = "Give a number such as L-0042"
        raise Refused("unknown", "This is no lesion's number", where="lesion", remedy=remedy)
    return number

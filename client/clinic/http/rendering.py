"""From a template to an answer."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from dermafed.client.clinic.diagnosis.diagnosis import USE

_HERE = Path(__file__).parent
STATIC = _HERE / "static"


def render(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page.

    Args:
        template: file name in ``templates``.
        status: of the answer.
        values: what the template uses; ``caller`` is who is signed in.
    """
    return HTMLResponse(_TEMPLATES.get_template(template).render(values), status)


def percent(probability: float) -> str:
    """A probability for people: no more digits than it deserves, and never certain."""
    if probability < 0.01:
        return "< 1 %"
    if probability > 0.99:
        return "> 99 %"
    return f"{100 * probability:.0f} %"


def spaced(name: str) -> str:
    """A class for people."""
    return name.replace("_", " ")


def local(time: str) -> datetime:
    """A diagnosis' time, on this machine's clock."""
    return datetime.fromisoformat(time).astimezone()


_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(percent=percent, spaced=spaced, local=local)
_TEMPLATES.globals.update(USE=USE, caller=None)

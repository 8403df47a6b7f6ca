"""The dashboard's pages as HTML: templates that escape whatever a clinic or a plan says."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from dermafed.server.dashboard.charts import HEIGHT, LEFT, RIGHT, WIDTH
from dermafed.server.dashboard.run_charts import shown_balanced_accuracy

_HERE = Path(__file__).parent
STATIC = _HERE / "static"


def render(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a page.

    Args:
        template: file name in ``templates``.
        status: HTTP status of the answer.
        values: what the template uses; ``name`` is that of the token, ``here`` the address in the menu.
    """
    return HTMLResponse(_TEMPLATES.get_template(template).render(values), status)


def figure(value: float | None, digits: int = 3) -> str:
    """A number, or a dash where it is unknown."""
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def share(value: float | None) -> str:
    """A share in per cent."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def size(count: int) -> str:
    """Bytes for people."""
    if not count:
        return "–"
    for unit, factor in (("GB", 10**9), ("MB", 10**6)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1000:.1f} kB"


def moment(text: str | None) -> str:
    """A moment of the record, to the minute, UTC."""
    return text[:16].replace("T", " ") if text else "–"


_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(
    figure=figure, share=share, size=size, moment=moment, balanced=shown_balanced_accuracy
)
_TEMPLATES.globals.update(name=None, here="", width=WIDTH, height=HEIGHT, left=LEFT, right=WIDTH - RIGHT)

"""Fill a Markdown template with the facts of a run; whatever a clinic named stays text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from dermafed.shared.report import sentences

TEMPLATES = Path(__file__).parent / "templates"
_SPECIAL = re.compile(r"([\\`*_\[\]<>|&#~!$])")


def render_markdown(template: str, **values: object) -> str:
    """Fill a template.

    Args:
        template: its file's name.
        values: what its expressions name; none is taken as Markdown.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_escaped,
    )
    environment.filters |= {
        "number": sentences.number,
        "spaced": sentences.spaced,
        "setting": sentences.setting,
        "interval": _interval,
        "midsentence": _midsentence,
    }
    return environment.get_template(template).render(**values)


def _escaped(value: object) -> str:
    """Escape a value so that it contains no Markdown: names come from the clinics."""
    return _SPECIAL.sub(r"\\\1", re.sub(r"\s", " ", str(value)))


def _interval(interval: Mapping[str, Any] | None) -> str:
    if interval is None or interval["low"] is None:
        return ""
    return f" ({interval['low']:.3f}–{interval['high']:.3f})"


def _midsentence(text: str) -> str:
    """The text without its capital letter."""
    return text[:1].lower() + text[1:]

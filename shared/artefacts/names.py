"""What an audit draws on images, by name; apart from how it is drawn, which needs OpenCV."""

from __future__ import annotations

ARTEFACT_TITLES = {
    "ink": "Ink marks",
    "ruler": "Ruler",
    "colour-patch": "Colour patch",
    "hair": "Hair",
    "vignette": "Vignette",
    "white-balance": "White balance",
}
"""The title of each artefact, for a table."""

CHANGE_TITLES = {**ARTEFACT_TITLES, "lesion-erased": "Lesion erased"}
"""Of all that an audit draws."""

"""The picture of a search: the image, and beside it the nearest cases with their diagnoses."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dermafed.client.clinic.similar.nearest import Neighbour
from dermafed.client.clinic.similar.similar_cases import NOTE
from dermafed.shared.explain.overlay import USE
from dermafed.shared.report.sentences import spaced

Pixels = NDArray[np.uint8]


def contact_sheet(image: Pixels, name: str, found: Sequence[tuple[Neighbour, Pixels]]) -> bytes:
    """Draw a search.

    Args:
        image: that was asked about, RGB uint8 (H, W, 3).
        name: of it.
        found: cases with their images, RGB uint8 of any size, the nearest first; one or more.

    Returns:
        A PNG file; the same for the same search.
    """
    drawing = Figure(figsize=(2.3 * (len(found) + 1), 3.4), layout="constrained", facecolor="white")
    first, *others = np.atleast_1d(drawing.subplots(1, len(found) + 1))
    _picture(first, image, "This image", name)
    for axes, (neighbour, pixels) in zip(others, found, strict=True):
        case = neighbour.case
        how = f"confirmed by {case.confirmed_by}" if case.confirmed_by else "label of the clinic's data"
        _picture(axes, pixels, spaced(case.diagnosis), f"{case.id}\n{how}")
    drawing.supxlabel(f"{NOTE}\n{USE}", fontsize=9)
    file = io.BytesIO()
    drawing.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


def _picture(axes: Axes, image: Pixels, title: str, below: str) -> None:
    axes.imshow(image, interpolation="bilinear")
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("\n".join(line if len(line) < 26 else f"{line[:24]}…" for line in below.split("\n")))
    axes.xaxis.label.set(fontsize=7, parse_math=False)
    axes.set(xticks=[], yticks=[])

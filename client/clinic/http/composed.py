"""Compose a picture for paper as the page shows it: the image, over it the heatmap and the outline."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dermafed.client.clinic.answers.other_model import other_map
from dermafed.client.clinic.answers.summary_pdf import Picture
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.diagnosis.lesion import Lesion
from dermafed.client.clinic.http.pictures import (
    Pixels,
    check_names,
    fit_of,
    heat_layer,
    shown_pixels,
)
from dermafed.client.clinic.language.speech import N_, gettext
from dermafed.client.clinic.language.stored import retell
from dermafed.client.clinic.language.terms import term
from dermafed.client.clinic.service import DiagnosticService
from dermafed.shared.explain.explainer import Explanation
from dermafed.shared.explain.methods import METHODS
from dermafed.shared.explain.overlay import CAVEAT, colour_words

_OUTLINE = 240  # of the longer side is the width of the white line; the black one is twice as wide
OUTLINED = N_("The outline was found by a program; nobody has verified it.")
CLASSLESS = N_("This map does not depend on the class.")


@dataclass(frozen=True, slots=True)
class Look:
    """What lies over the image on the page.

    Attributes:
        target: the class whose heatmap it is; ``None``: the predicted one.
        against: rather than this class, if any.
        method: of the heatmap; ``None``: the model's own.
        opacity: of the heatmap, from 0 (hidden) to 1.
        outlined: whether the lesion's outline is shown, if there is one.
    """

    target: str | None = None
    against: str | None = None
    method: str | None = None
    opacity: float = 0.6
    outlined: bool = False


def compose(service: DiagnosticService, diagnosis: Diagnosis, look: Look) -> list[Picture]:
    """The image, and again with what lies over it, unless that is nothing.

    Raises:
        Refused: there is no such class or method (400), or the image has expired (410).
    """
    check_names(service, look.method, look.target, look.against)
    image = service.store.load_image(diagnosis.id)
    fit, (height, width) = fit_of(service), image.shape[:2]
    shown = shown_pixels(image, fit)
    pictures = [Picture(shown, gettext("The image that was sent."))]
    composed, says = shown, list[str]()
    if look.opacity > 0:
        found = service.heatmap(diagnosis.id, look.target, look.against, look.method)
        layer = heat_layer(found.heatmap, found.signed, height, width, fit)
        composed = lay_over(shown, layer, look.opacity)
        says += _about(found, service.diagnoser.classes)
        says += filter(None, [other_map(diagnosis, service.diagnoser.model.used)])
    if look.outlined and diagnosis.lesion is not None and diagnosis.lesion.outline:
        composed = draw_outline(composed, diagnosis.lesion)
        says.append(gettext(OUTLINED))
    return [*pictures, Picture(composed, " ".join(says))] if says else pictures


def lay_over(image: Pixels, layer: Pixels, opacity: float) -> Pixels:
    """A layer over an image, as a browser does it: scaled with its colours multiplied by their opacity.

    Args:
        image: RGB uint8 (H, W, 3).
        layer: RGBA uint8 of any size.
        opacity: of the layer as a whole, in [0, 1].
    """
    premultiplied = layer.astype(np.float32)
    premultiplied[..., :3] *= premultiplied[..., 3:] / 255
    scaled = cv2.resize(premultiplied, image.shape[1::-1], interpolation=cv2.INTER_LINEAR) * opacity
    return np.asarray(np.rint(image * (1 - scaled[..., 3:] / 255) + scaled[..., :3]), np.uint8)


def draw_outline(image: Pixels, lesion: Lesion) -> Pixels:
    """The outline of a lesion on an image, white on black as on the page."""
    height, width = image.shape[:2]
    corners = np.rint(np.array(lesion.outline) * (width, height)).astype(np.int32)
    drawn, thin = image.copy(), max(1, round(max(height, width) / _OUTLINE))
    for colour, thickness in (((0, 0, 0), 2 * thin), ((255, 255, 255), thin)):
        cv2.polylines(drawn, [corners], True, colour, thickness, cv2.LINE_AA)
    return drawn


def _about(found: Explanation, classes: tuple[str, ...]) -> list[str]:
    """What a heatmap is of, and what it is not."""
    target, against = found.target.index, found.target.against
    values = {"name": term(classes[target]), "method": term(METHODS[found.method].title)}
    of = (
        gettext("What moved the score of %(name)s; method: %(method)s.", **values)
        if against is None
        else gettext(
            "What moved the score of %(name)s rather than %(other)s; method: %(method)s.",
            other=term(classes[against]), **values,
        )
    )  # fmt: skip
    classless = [gettext(CLASSLESS)] if found.depends_on_class is False else []
    return [of, *classless, *filter(None, [retell(colour_words(found))]), retell(CAVEAT)]

"""Draw what a browser shows: the image, and the heatmap over it or as a layer of the same shape."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.store.diagnoses import encode_lossless
from dermafed.shared.errors import ImageError
from dermafed.shared.explain.maps import Float
from dermafed.shared.explain.methods import offered_methods
from dermafed.shared.explain.overlay import blend, coloured
from dermafed.shared.imaging.preprocess_settings import Fit

LONGEST = 1024  # pixels of the longer side of the shown image
_WHOLE = 16_384  # the same of an image at its own resolution: browsers draw no larger one
_THUMBNAIL = 160  # pixels of the longer side of one in a list
_DIMMED = 0.35  # of the brightness, where the model did not look

Pixels = NDArray[np.uint8]
Draw = Callable[[DiagnosticService, str, str | None, str | None, str | None], bytes]


def draw_overlay(
    service: DiagnosticService,
    id: str,
    target: str | None = None,
    against: str | None = None,
    method: str | None = None,
) -> bytes:
    """A heatmap on what the network saw, PNG; see :meth:`DiagnosticService.heatmap`.

    Raises:
        Refused: there is no such class or method (400) or diagnosis (404), or its image has expired (410).
    """
    check_names(service, method, target, against)
    found = service.heatmap(id, target, against, method)
    return encode_lossless(blend(service.prepared(id), found.heatmap, found.signed))


def draw_heat(
    service: DiagnosticService, id: str, target: str | None, against: str | None, method: str | None
) -> bytes:
    """A heatmap as a layer over :func:`draw_image`, PNG; raises Refused as :func:`draw_overlay` does."""
    check_names(service, method, target, against)
    height, width = service.store.load_image(id).shape[:2]
    found = service.heatmap(id, target, against, method)
    return encode_lossless(heat_layer(found.heatmap, found.signed, height, width, fit_of(service)))


def draw_lesion(service: DiagnosticService, diagnosis: Diagnosis) -> bytes | None:
    """Where the lesion is, in white on black in the image's proportions, PNG; ``None`` if none was found."""
    if diagnosis.lesion is None or diagnosis.lesion.measures is None:
        return None
    height, width = _size_within(LONGEST, *service.store.load_image(diagnosis.id).shape[:2])
    mask = diagnosis.lesion.mask(height, width).astype(np.uint8) * 255
    return encode_lossless(np.repeat(mask[..., None], 3, axis=2))


def describe_heatmap(
    service: DiagnosticService, id: str, target: str | None, against: str | None, method: str | None
) -> dict[str, Any]:
    """What is known of a heatmap, as JSON types; raises Refused as :func:`draw_overlay` does."""
    check_names(service, method, target, against)
    found, classes = service.heatmap(id, target, against, method), service.diagnoser.classes
    return {
        "class": classes[found.target.index],
        "against": None if found.target.against is None else classes[found.target.against],
        "method": found.method,
        "signed": found.signed,
        "constant": found.constant,
        "depends_on_class": found.depends_on_class,
        "class_correlation": found.class_correlation,
    }


def draw_image(service: DiagnosticService, id: str, whole: bool = False) -> bytes:
    """The image for a screen, or the `whole` at its own resolution, JPEG; raises Refused (404, 410)."""
    return shown_jpeg(service.store.load_image(id), fit_of(service), _WHOLE if whole else LONGEST)


def draw_thumbnail(service: DiagnosticService, id: str) -> bytes:
    """The image for a list, JPEG; raises Refused (404, 410)."""
    image = service.store.load_image(id)
    small = cv2.resize(image, _size_within(_THUMBNAIL, *image.shape[:2])[::-1], interpolation=cv2.INTER_AREA)
    return _jpeg(np.asarray(small, np.uint8))


def draw_case(service: DiagnosticService, sha256: str) -> bytes:
    """The image of a similar case, JPEG; raises Refused (404) if there is no such case, or no image of it."""
    try:
        return shown_jpeg(service.case_image(sha256), fit_of(service))
    except ImageError as error:
        raise Refused("unknown", "The image of this case is gone", remedy="Run fl-client similar") from error


def check_names(service: DiagnosticService, method: str | None, *names: str | None) -> None:
    """Refuse (400) a method or a class that the model does not have."""
    classes, methods = service.diagnoser.classes, offered_methods(service.diagnoser.model.classifier)
    if method not in (None, *methods):
        raise Refused("method-unknown", "There is no such method", remedy=f"Use one of {', '.join(methods)}")
    if set(names) - {None, *classes}:
        raise Refused("class-unknown", "There is no such class", remedy=f"Use one of {', '.join(classes)}")


def fit_of(service: DiagnosticService) -> Fit:
    """How the model's images are made square."""
    return service.diagnoser.model.card.preprocess.fit


def shown_jpeg(image: Pixels, fit: Fit, longest: int = LONGEST) -> bytes:
    """:func:`shown_pixels` as a JPEG."""
    return _jpeg(shown_pixels(image, fit, longest))


def shown_pixels(image: Pixels, fit: Fit, longest: int = LONGEST) -> Pixels:
    """The image at a size for a screen, dimmed where the model did not look.

    Args:
        image: RGB uint8 (H, W, 3).
        fit: how it was made square for the model.
        longest: pixels of the longer side, at most.
    """
    size = _size_within(longest, *image.shape[:2])
    small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    if fit == "crop":
        rows, columns = centre(small.shape[0], small.shape[1])
        dim = np.rint(small * _DIMMED).astype(np.uint8)
        dim[rows, columns] = small[rows, columns]
        small = dim
    return np.asarray(small, np.uint8)


def _jpeg(image: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90)
    return file.getvalue()


def _size_within(longest: int, height: int, width: int) -> tuple[int, int]:
    factor = min(1.0, longest / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def heat_layer(heatmap: Float, signed: bool, height: int, width: int, fit: Fit) -> Pixels:
    """The heatmap alone, as RGBA uint8 in the image's proportions, the more opaque the farther from 0 it is.

    Args:
        heatmap: float32 (S, S) in [0, 1]; a signed one in [-1, 1].
        signed: whether it is.
        height: of the image, as `width`.
        width: pixels.
        fit: how the image was made square for the model.
    """
    side = heatmap.shape[0]
    colours = np.rint(255 * coloured(heatmap, signed)).astype(np.uint8)
    if fit == "pad":  # the map reaches over the image, into its mirrored margin
        factor = side / max(height, width)
        rows, columns = (
            _middle(side, max(1, round(height * factor))),
            _middle(side, max(1, round(width * factor))),
        )
        return np.asarray(colours[rows, columns], np.uint8)
    factor = side / min(height, width)
    layer = np.zeros((max(side, round(height * factor)), max(side, round(width * factor)), 4), np.uint8)
    rows, columns = centre(*layer.shape[:2])
    layer[rows, columns] = colours
    return layer


def centre(height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of the square in the middle."""
    side = min(height, width)
    return _middle(height, side), _middle(width, side)


def _middle(length: int, part: int) -> slice:
    return slice((length - part) // 2, (length - part) // 2 + part)

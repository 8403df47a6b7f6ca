"""LabelMe's shapes as COCO's geometry: polygons, and masks as run lengths."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermafed.shared.errors import DatasetError

Size = tuple[int, int]
Points = NDArray[np.float64]

_CIRCLE_CORNERS = 128  # of a polygon with 0.04 % less area than its circle
_QUADRILATERALS = ("rectangle", "rotation", "oriented_rectangle")  # the latter two are drawn at an angle
_ORIENTATION, _FIRST_TURNED = 0x0112, 5  # EXIF: from 5 to 8, sides change places
_MAX_PIXELS = 80_000_000


@dataclass(frozen=True, slots=True)
class Mask:
    """The pixels of a shape: bool (H, W), of the whole image."""

    pixels: NDArray[np.bool_]


Part = Points | Mask


def whole_image(size: Size) -> Points:
    """The polygon of a whole image, (4, 2)."""
    return _corners(np.array([[0, 0], size], dtype=np.float64))


def image_size(path: Path) -> tuple[int | None, int | None]:
    """Width and height of an image as it is shown, or neither if it cannot be read."""
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(_ORIENTATION, 1) >= _FIRST_TURNED
            return (image.height, image.width) if turned else image.size
    except Exception:  # Pillow's decoders raise errors of many types
        return None, None


def instances(shapes: Sequence[Mapping[str, Any]], size: Size, path: Path) -> list[tuple[str, list[Part]]]:
    """The annotated objects of an image: label and parts, one for each shape of a group; a mask is alone.

    Raises:
        DatasetError: a shape has no area.
    """
    objects: dict[tuple[str, str], list[Part]] = {}
    for number, shape in enumerate(shapes, start=1):
        group, place = shape.get("group_id"), f"{path}, shape {number}"
        part = _part(shape, size, place)
        alone = group is None or isinstance(part, Mask)
        objects.setdefault((shape["label"], place if alone else f"group {group}"), []).append(part)
    return [(label, parts) for (label, _), parts in objects.items()]


def geometry(parts: Sequence[Part]) -> dict[str, Any]:
    """An annotation's segmentation, area and box."""
    if isinstance(parts[0], Mask):
        return _run_lengths(parts[0])
    polygons = [part for part in parts if not isinstance(part, Mask)]
    corners = np.concatenate(polygons)
    low, high = corners.min(axis=0), corners.max(axis=0)
    return {
        "segmentation": [polygon.ravel().tolist() for polygon in polygons],
        "area": sum(_area(polygon) for polygon in polygons),
        "bbox": [*low.tolist(), *(high - low).tolist()],
        "iscrowd": 0,
    }


def _part(shape: Mapping[str, Any], size: Size, place: str) -> Part:
    """A shape inside the image: the corners of a polygon, (n, 2) in pixels, or a mask."""
    kind = shape.get("shape_type") or "polygon"
    points = _points(shape)
    if kind == "mask":
        return _mask(shape, points, size, place)
    count = len(points)
    if kind == "circle" and count == 2:
        points, kind = _circle(points), "polygon"
    points = np.clip(points, 0, np.array(size, dtype=np.float64))
    if kind in _QUADRILATERALS:
        points, kind = (_corners(points) if count == 2 else points), "polygon"
    if kind != "polygon" or len(points) < 3 or not _area(points) > 0:
        raise _no_area(f"a {shape.get('shape_type') or 'polygon'} of {count} points", place)
    return points


def _points(shape: Mapping[str, Any]) -> Points:
    try:
        return np.array(shape["points"], dtype=np.float64).reshape(-1, 2)
    except (KeyError, TypeError, ValueError, OverflowError):
        return np.empty((0, 2))


def _corners(points: Points) -> Points:
    """The corners of a rectangle from two that are opposite."""
    (x0, y0), (x1, y1) = points
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _circle(points: Points) -> Points:
    """A circle from its centre and a point on it."""
    centre, on_it = points
    angles = np.linspace(0, 2 * np.pi, _CIRCLE_CORNERS, endpoint=False)
    radius = float(np.hypot(*(on_it - centre)))
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def _mask(shape: Mapping[str, Any], points: Points, size: Size, place: str) -> Mask:
    """A mask is a picture of the rectangle between two points, white on the lesion."""
    width, height = size
    if width * height > _MAX_PIXELS or not np.isfinite(points).all() or len(points) != 2:
        raise _no_area(f"a mask of {len(points)} points", place)
    try:
        with Image.open(BytesIO(base64.b64decode(shape["mask"])), formats=["PNG"]) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise ValueError("too large")
            drawn = np.asarray(image.convert("L")) > 0
    except Exception as error:  # Pillow's decoders raise errors of many types
        raise DatasetError("a mask that cannot be read", where=place, remedy="Draw it again") from error
    x, y = (round(float(value)) for value in points.min(axis=0).clip(-_MAX_PIXELS, _MAX_PIXELS))
    pixels = np.zeros((height, width), dtype=np.bool_)
    left, top = max(x, 0), max(y, 0)
    inside = drawn[top - y : height - y if height > y else 0, left - x : width - x if width > x else 0]
    pixels[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    if not pixels.any():
        raise _no_area("a mask", place)
    return Mask(pixels)


def _run_lengths(mask: Mask) -> dict[str, Any]:
    """COCO's uncompressed run lengths: of zeros, ones, zeros ... down each column."""
    height, width = mask.pixels.shape
    line = mask.pixels.ravel(order="F")
    changes = np.flatnonzero(np.diff(line, prepend=False)) if line.size else np.empty(0, np.int64)
    counts = np.diff(np.concatenate([[0], changes, [line.size]]))
    rows, columns = np.flatnonzero(mask.pixels.any(axis=1)), np.flatnonzero(mask.pixels.any(axis=0))
    box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    return {
        "segmentation": {"size": [height, width], "counts": counts.tolist()},
        "area": int(mask.pixels.sum()),
        "bbox": [int(value) for value in box],
        "iscrowd": 0,
    }


def _no_area(what: str, place: str) -> DatasetError:
    return DatasetError(
        f"{what} has no area",
        where=place,
        remedy="Draw it as a polygon, a rectangle, a circle or a mask",
    )


def _area(points: Points) -> float:
    """The area of a simple polygon, in square pixels: the shoelace formula."""
    x, y = points.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)

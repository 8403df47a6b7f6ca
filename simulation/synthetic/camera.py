"""A clinic's camera: photographs a painted lesion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dermafed.simulation.synthetic.artefacts import add_bubbles, add_glare, add_ruler
from dermafed.simulation.synthetic.canvas import Canvas, Map
from dermafed.simulation.synthetic.scene import Scene
from dermafed.simulation.synthetic.skin import Colour

# A lens spreads a little light over the whole picture: no pixel is quite black.
_FLARE = 0.035

_EDGE = cv2.BORDER_REFLECT_101


@dataclass(frozen=True)
class Camera:
    """A dermatoscope with its camera.

    Attributes:
        white_balance: gain of red, green and blue.
        saturation: 1 leaves colours unchanged, above 1 strengthens them.
        gamma: exponent on [0, 1] values: above 1 darkens the middle tones.
        magnification: above 1 shows lesions larger.
        blur: standard deviation of the lens blur, in half fields of view.
        noise: standard deviation of the sensor noise at mid-grey, in [0, 1] units.
        vignette: loss of light in the corners, 0 to 1.
        tube: probability that the dark edge of the contact plate is in the picture.
        immersion: probability of air bubbles.
        glare: probability of specular flecks.
        ruler: probability of ruler marks.
        jpeg_quality: 1 to 100.
    """

    white_balance: Colour = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    gamma: float = 1.0
    magnification: float = 1.0
    blur: float = 0.005
    noise: float = 0.01
    vignette: float = 0.15
    tube: float = 0.0
    immersion: float = 0.1
    glare: float = 0.1
    ruler: float = 0.05
    jpeg_quality: int = 92


def photograph(
    scene: Scene, camera: Camera, size: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Take one picture, from a slightly random place and in slightly random light.

    Args:
        scene: the lesion.
        camera: the camera.
        size: side of the picture, in pixels.
        rng: the random generator.

    Returns:
        RGB uint8 ``(size, size, 3)`` and the lesion's mask, uint8 ``(size, size)`` of 0 and 255.
    """
    view = _viewpoint(scene.canvas, camera.magnification, size, rng)
    seen = cv2.warpAffine(scene.image, view, (size, size), flags=cv2.INTER_CUBIC, borderMode=_EDGE)
    image = np.asarray(seen, np.float32)
    mask = cv2.warpAffine(scene.mask, view, (size, size), flags=cv2.INTER_NEAREST, borderMode=_EDGE)
    field = Canvas(size, 1.0)
    for chance, artefact in (
        (camera.immersion, add_bubbles),
        (camera.glare, add_glare),
        (camera.ruler, add_ruler),
    ):
        if rng.random() < chance:
            image = artefact(image, field, rng)
    image = _develop(_light(image, field, camera, rng), camera, rng)
    return _sense(image, field, camera, rng), np.asarray(mask, np.uint8)


def _viewpoint(
    canvas: Canvas, magnification: float, size: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Affine map from the canvas to the picture: angle, distance, aim."""
    zoom = magnification * rng.uniform(0.95, 1.1) * size / (2 * canvas.unit)
    middle = (canvas.pixels - 1) / 2
    view = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-12, 12), zoom)
    shift = (size - 1) / 2 - middle + rng.normal(0, 0.03, 2) * size
    return np.asarray(view, np.float64) + np.column_stack([np.zeros((2, 2)), shift])


def _light(image: Map, field: Canvas, camera: Camera, rng: np.random.Generator) -> Map:
    """An uneven lamp, and the loss of light towards the corners."""
    slope, angle = rng.uniform(0, 0.08), rng.uniform(0, 2 * math.pi)
    lamp = 1 + slope * (math.cos(angle) * field.x + math.sin(angle) * field.y)
    distance = np.hypot(field.x, field.y)
    lamp = lamp * (1 - camera.vignette * rng.uniform(0.7, 1.3) * (distance / 1.414) ** 3)
    if rng.random() < camera.tube:
        lamp = lamp * np.clip((rng.uniform(1.12, 1.3) - distance) / 0.06, 0.02, 1)
    return np.asarray(image * rng.uniform(0.93, 1.05) * lamp[..., None], np.float32)


def _develop(image: Map, camera: Camera, rng: np.random.Generator) -> Map:
    """White balance, saturation and tone curve."""
    gains = np.asarray(camera.white_balance) * rng.normal(1, 0.03, 3)
    saturation = camera.saturation * rng.uniform(0.92, 1.08)
    mixture = saturation * np.eye(3) + (1 - saturation) / 3
    image = np.asarray(cv2.transform(image, mixture * gains), np.float32)
    return np.asarray(np.clip(image, 0, 1) ** camera.gamma, np.float32)


def _sense(image: Map, field: Canvas, camera: Camera, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Lens blur, flare and sensor noise, which grows with the root of the light (photon noise)."""
    image = field.blur(image, camera.blur * rng.uniform(0.7, 1.4))
    image = _FLARE + (1 - _FLARE) * image
    grain = rng.standard_normal(image.shape, dtype=np.float32) * np.sqrt(0.3 + 1.4 * image)
    return np.asarray(np.clip(image + camera.noise * grain, 0, 1) * 255 + 0.5, np.uint8)

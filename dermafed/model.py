"""A loaded model: what :func:`dermafed.load_model` returns."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnose_files import DEVICE, open_diagnoser
from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser, diagnose_image
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.intake.clinical import Clinical, read_clinical
from dermafed.client.clinic.intake.receive import Received, receive
from dermafed.shared.errors import SettingsError
from dermafed.shared.explain.explainer import Explanation
from dermafed.shared.imaging.decoding import read_bytes
from dermafed.shared.imaging.pipeline import preprocess
from dermafed.shared.metrics.calibration.calibration import Calibration

Image = str | Path | bytes | NDArray[np.uint8]
"""A JPEG, PNG or DICOM file, its bytes, or RGB uint8 (H, W, 3)."""


UNKNOWN = Clinical()


class Model:
    """A classifier with its preprocessing and calibration; any thread may use it."""

    def __init__(self, diagnoser: Diagnoser, calibration: Calibration | None) -> None:
        """Combine an opened network with what was measured of its probabilities, if that was."""
        self._diagnoser, self._calibration = diagnoser, calibration

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the C classes, in the order of the network's outputs."""
        return self._diagnoser.classes

    def diagnose(
        self, image: Image, *, age: int | None = None, sex: str | None = None, body_site: str | None = None
    ) -> Diagnosis:
        """Diagnose an image, exactly as ``fl-client serve`` would; nothing is saved.

        Args:
            image: see :data:`Image`.
            age: whole years, 0 to 120.
            sex: ``female`` or ``male``.
            body_site: a part of the body, in words.

        Returns:
            The ``probabilities`` by class, the ``prediction``, and the doubts.

        Raises:
            Refused: the image or a value cannot be used.
            DatasetError, ImageError: there is no such file.
        """
        clinical, _ = read_clinical(json.dumps({"age": age, "sex": sex, "site": body_site}))
        received = receive_image(image, clinical)
        diagnosis, _ = diagnose_image(self._diagnoser, self._calibration, received, DEVICE)
        return diagnosis

    def explain(
        self,
        image: Image,
        target: str | None = None,
        against: str | None = None,
        method: str | None = None,
    ) -> Explanation:
        """Explain what moved the score of a class.

        Args:
            image: see :data:`Image`.
            target: a class; by default the predicted one.
            against: another class: why ``target`` rather than this.
            method: a ``--method`` of ``fl-client explain``; by default the model's own, additive evidence or
                Score-CAM (paper, section 3.4).

        Returns:
            Its ``heatmap``, float32 (S, S) in [0, 1] or, if it is ``signed``, [-1, 1], over the image that
            :meth:`preprocess` returns.

        Raises:
            Refused: the image cannot be used.
            SettingsError: there is no such class or method.
            ModelError: the method is not defined for this model.
        """
        return self._diagnoser.explain(self.preprocess(image), target, against, method)

    def preprocess(self, image: Image) -> NDArray[np.uint8]:
        """What the network sees of an image: RGB uint8 (S, S, 3)."""
        return preprocess(receive_image(image).image, self._diagnoser.model.card.preprocess).image


def open_model(path: Path) -> Model:
    """Open a ``.keras`` file; see :func:`dermafed.load_model`."""
    return Model(*open_diagnoser(str(path)))


def receive_image(image: Image, clinical: Clinical = UNKNOWN) -> Received:
    """Decode an image by the door that every way into a clinic uses, or take its pixels as they are.

    Raises:
        Refused: the file cannot be used.
        ImageError: there is no such file.
        SettingsError: the array is not RGB uint8 (H, W, 3).
    """
    if isinstance(image, str | Path):
        return receive(read_bytes(Path(image)), clinical)
    if isinstance(image, bytes):
        return receive(image, clinical)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        what = f"An array of {image.dtype} {image.shape} is not an image"
        raise SettingsError(what, where="image", remedy="Give RGB uint8 (H, W, 3)")
    return Received(image, hashlib.sha256(image.tobytes()).hexdigest(), clinical)

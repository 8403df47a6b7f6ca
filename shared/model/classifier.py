"""The lesion classifier: an EfficientNet with the paper's head (eq. 6-8); its weights as one flat vector."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import ModelError
from dermafed.shared.model.blocks import block_of
from dermafed.shared.model.image_features import image_features
from dermafed.shared.model.lesion_weights import finder_variables
from dermafed.shared.model.metadata import METADATA_FEATURES
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.model.parts import MEANS, VARIANCES, WEIGHTS, Parts

# ImageNet's channel statistics of [0, 1] images: eq. (2) at the network's input. The variances
# are those in Keras' own weight files.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_VARIANCE = (0.052441, 0.050176, 0.050625)

# Keras' 0.99 needs hundreds of steps to forget its start; a clinic's round has a few dozen.
BATCH_NORM_MOMENTUM = 0.9

# 1,280 features of unit variance let one Adam step of 0.001 move a logit by more than 1; a tenth
# of that scale keeps the first steps from overshooting.
HEAD_SCALE = 0.1


def build_classifier(settings: ModelSettings) -> keras.Model:
    """Build the classifier with random weights.

    EfficientNet features A (eq. 6), global average pooling (or block statistics, see
    :mod:`dermafed.shared.model.image_features`), batch normalisation and dropout (eq. 7), a dense
    layer named ``logits`` and a softmax named ``probabilities`` (eq. 8).

    Args:
        settings: the architecture.

    Returns:
        A model from images float32 (N, S, S, 3) in [0, 255] (and, with metadata, features
        float32 (N, M)) to probabilities float32 (N, C). The backbone is the layer
        ``backbone``'s flattened graph: its layers belong to the model itself, so that
        explanations reach them by name.
    """
    side = settings.image_size
    backbone = getattr(keras.applications, settings.backbone)(
        include_top=False, weights=None, input_shape=(side, side, 3)
    )
    normalise_like_imagenet(backbone)
    inputs, features = [backbone.input], _normalised(image_features(backbone, settings.features))
    if settings.metadata:
        clinical = keras.Input((METADATA_FEATURES,), name="metadata")
        inputs.append(clinical)
        hidden = keras.layers.Dense(32, activation="relu", name="metadata_hidden")(clinical)
        features = keras.layers.Concatenate(name="image_and_metadata")([features, hidden])
    features = keras.layers.Dropout(settings.dropout, name="head_dropout")(features)
    logits = keras.layers.Dense(len(settings.classes), name="logits")(features)
    probabilities = keras.layers.Softmax(name="probabilities")(logits)
    model = keras.Model(inputs if settings.metadata else inputs[0], probabilities, name="classifier")
    _freeze(model, backbone, settings)
    return model


def logits_model(model: keras.Model) -> keras.Model:
    """The same layers and weights, ending at the logits (N, C) instead of the softmax."""
    return keras.Model(model.input, model.get_layer("logits").output, name="logits")


def normalise_like_imagenet(backbone: keras.Model) -> None:
    """Fill eq. (2)'s constants into a B0-B7's normalisation layer; V2's has its own."""
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:
            layer.adapt_mean.assign(np.array(IMAGENET_MEAN, np.float32))
            layer.adapt_variance.assign(np.array(IMAGENET_VARIANCE, np.float32))
            layer.finalize_state()


def fix_batch_norm(model: keras.Model) -> None:
    """Fix all batch normalisation: it uses its moving statistics, and training does not change it."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def _normalised(features: keras.KerasTensor) -> keras.KerasTensor:
    scale = keras.initializers.Constant(HEAD_SCALE)
    return keras.layers.BatchNormalization(gamma_initializer=scale, name="head_norm")(features)


def _freeze(model: keras.Model, backbone: keras.Model, settings: ModelSettings) -> None:
    """Freeze blocks and batch normalisation by the settings."""
    last_frozen = settings.frozen_blocks
    for layer in backbone.layers:
        layer.trainable = block_of(layer.name) > last_frozen or not last_frozen
        if settings.batch_norm == "frozen" and isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM


def exchanged_variables(model: keras.Model) -> list[keras.Variable]:
    """Return the variables that make up the flat vector, in the model's own order, a lesion finder's first.

    All but those of the input normalisation, which are part of the architecture.
    """
    finder = finder_variables(model)
    others = {id(variable) for variable in finder} | {
        id(variable)
        for layer in model.layers
        if isinstance(layer, keras.layers.Normalization)
        for variable in layer.variables
    }
    return [*finder, *(variable for variable in model.weights if id(variable) not in others)]


def to_flat(model: keras.Model) -> NDArray[np.float32]:
    """Return the model's weights as float32 (P,): what clinics send, what is averaged and saved."""
    arrays = [np.ravel(keras.ops.convert_to_numpy(v.value)) for v in exchanged_variables(model)]
    return np.concatenate(arrays).astype(np.float32)


def set_flat(model: keras.Model, weights: NDArray[np.float32]) -> None:
    """Write a flat vector into the model; values that are there already are not assigned, which is slow.

    Raises:
        ModelError: the vector belongs to another architecture.
    """
    variables = exchanged_variables(model)
    sizes = [int(np.prod(variable.shape)) for variable in variables]
    if weights.shape != (sum(sizes),):
        raise ModelError(
            f"The weights have {weights.size:,} values, this architecture has {sum(sizes):,}",
            remedy="Use the settings the weights were trained with",
        )
    for variable, part in zip(variables, np.split(weights, np.cumsum(sizes)[:-1]), strict=True):
        values = part.reshape(variable.shape)
        if keras.ops.convert_to_numpy(variable.value).tobytes() != values.tobytes():  # -0.0 is not 0.0
            variable.assign(values)


def batch_norm_mask(model: keras.Model) -> NDArray[np.bool_]:
    """Which values of the flat vector belong to batch normalisation: bool (P,)."""
    own = {
        id(variable)
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
        for variable in layer.weights
    }
    return np.concatenate([np.full(int(np.prod(v.shape)), id(v) in own) for v in exchanged_variables(model)])


def trainable_mask(model: keras.Model) -> NDArray[np.bool_]:
    """Which values of the flat vector are trained by gradient: bool (P,).

    The others are moving statistics, which no server optimiser may step on.
    """
    trained = {id(variable) for variable in model.trainable_variables}
    return np.concatenate(
        [np.full(int(np.prod(v.shape)), id(v) in trained) for v in exchanged_variables(model)]
    )


def moved_mask(model: keras.Model) -> NDArray[np.bool_]:
    """Which values of the flat vector training may change: bool (P,).

    Those that are trained by gradient, and the moving statistics of batch normalisation that is trained; of
    frozen blocks nothing.
    """
    statistics = {
        id(variable)
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        for variable in layer.non_trainable_variables
    }
    moved = [np.full(int(np.prod(v.shape)), id(v) in statistics) for v in exchanged_variables(model)]
    return np.asarray(trainable_mask(model) | np.concatenate(moved), bool)


def last_layer_inputs(model: keras.Model) -> int:
    """Inputs K of the last layer, whose kernel (K, C) and bias (C,) are the last of the flat vector."""
    return int(model.get_layer("logits").kernel.shape[0])


def parts_of(model: keras.Model) -> Parts:
    """For each value of the flat vector its part, as a server screens updates: uint8 (P,)."""
    statistics = {
        id(variable): part
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
        for variable, part in ((layer.moving_mean, MEANS), (layer.moving_variance, VARIANCES))
    }
    return np.concatenate(
        [
            np.full(int(np.prod(v.shape)), statistics.get(id(v), WEIGHTS), np.uint8)
            for v in exchanged_variables(model)
        ]
    )

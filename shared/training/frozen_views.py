"""Train on what frozen blocks make of a few augmented views of each image: computed once, not every round.

The pixels of view v of an image depend on the clinic's seed, v and the image's place alone. In the views'
pass through the frozen blocks all their layers are as in a prediction: batch normalisation uses its own
statistics, as in any training of frozen blocks, and stochastic depth drops none of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.artefacts.artefacts import DRAWING_VERSION
from dermafed.shared.imaging.cache import default_cache_folder
from dermafed.shared.training.augment import AUGMENTATION_VERSION, augment, augmented_lesion
from dermafed.shared.training.backend import rounding
from dermafed.shared.training.data import Batch, LabelledImages, places
from dermafed.shared.training.feature_store import FeatureStore, Floats, bytes_of
from dermafed.shared.training.frozen_front import digest_of_front
from dermafed.shared.training.predict import BATCH_SIZE, apply_in_batches

Pixels = NDArray[np.uint8]

_VERSION = 1
_AS_IT_IS = -1


@dataclass
class FrozenViews:
    """The views of a clinic's training images behind a classifier's frozen blocks.

    Attributes:
        data: the images.
        views: number of views of each.
        seed: seed of the order and of the views.
        tones: whether a view may have another skin tone.
        store: where the features are saved.
        dtype: in which precision.
        artefacts: the share of views on which an artefact is drawn.
    """

    data: LabelledImages
    views: int
    seed: int
    tones: bool
    store: FeatureStore
    dtype: type[np.floating[Any]] = np.float16
    artefacts: float = 0.0
    _digest: bytes = field(default=b"", init=False)
    _features: Sequence[Floats] = field(default=(), init=False)

    def batches(self, front: keras.Model, size: int, steps: Iterable[int]) -> Iterator[Batch]:
        """Yield the batches of some steps: the same images as :func:`batches`, the next view each epoch.

        Args:
            front: the frozen blocks, with their weights.
            size: images in a batch.
            steps: numbers of the steps, from 0.

        Raises:
            ModelError: a feature is not finite, or too large for the precision.
            StorageError: the features do not fit into the cache or cannot be written there.
        """
        views = self._of(front)
        for place in places(len(self.data), size, steps, seed=self.seed):
            features = views[place.epoch % self.views][place.index]
            inputs = self.data.inputs(features, place.index)
            lesions = self._lesions(place.epoch % self.views, place.index)
            yield Batch(inputs, place.index, place.weights, lesions)

    def view(self, view: int, index: int) -> Pixels:
        """The pixels of a view of an image: uint8 (S, S, 3)."""
        rng = self._rng(view, index)
        return augment(self.data.images[index], rng, tones=self.tones, artefacts=self.artefacts)

    def _lesions(self, view: int, index: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Where the lesions are in a view of some images, (B, G, G)."""
        if self.data.lesions is None:
            return None
        return np.stack(
            [augmented_lesion(self.data.lesions[one], self._rng(view, one)) for one in index.tolist()]
        )

    def _rng(self, view: int, index: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, view, index))

    def _of(self, front: keras.Model) -> Sequence[Floats]:
        """The features of each view, (N, H, W, K)."""
        if (digest := digest_of_front(front)) != self._digest:
            passes = _Passes(front, self.data.images, self._drawn(), self.store, self.dtype)
            self._features, self._digest = passes.load_or_make(range(self.views), self.view), digest
        return self._features

    def _drawn(self) -> dict[str, Any]:
        """What the views' pixels depend on besides their images; as ever where artefacts are off."""
        drawn = {"augmentation": AUGMENTATION_VERSION, "seed": self.seed, "tones": self.tones}
        artefacts = {"artefacts": self.artefacts, "drawing": DRAWING_VERSION} if self.artefacts else {}
        return drawn | artefacts


def saved_features(front: keras.Model, images: Pixels, store: FeatureStore | None = None) -> Floats:
    """What the frozen blocks make of images as they are: float32 (N, H, W, K), saved in the cache by default.

    Raises:
        ModelError: a feature is not finite.
        StorageError: they do not fit into the cache or cannot be written there.
    """
    store = store or FeatureStore(default_cache_folder())
    passes = _Passes(front, images, {}, store, np.float32)
    (features,) = passes.load_or_make([_AS_IT_IS], lambda _, index: images[index])
    return features


@dataclass(frozen=True)
class _Passes:
    """Passes of images through the frozen blocks, each saved as one array.

    Attributes:
        drawn: what the pixels of a view depend on besides its image.
    """

    front: keras.Model
    images: Pixels
    drawn: dict[str, Any]
    store: FeatureStore
    dtype: type[np.floating[Any]]

    def load_or_make(self, views: Iterable[int], pixels: Callable[[int, int], Pixels]) -> list[Floats]:
        """The features of each view, (N, H, W, K); `pixels` gives those of a view of an image."""
        shape = (len(self.images), *self.front.output_shape[1:])
        if not len(self.images):
            return [np.empty(shape, self.dtype) for _ in views]
        keys = self._keys(views)
        found = {view: self.store.load(key, shape, self.dtype) for view, key in keys.items()}
        size, missing = bytes_of(shape, self.dtype), [view for view, one in found.items() if one is None]
        self.store.make_room([size] * len(missing), size * (len(found) - len(missing)))
        for view in missing:
            parts = self._computed(partial(pixels, view))
            found[view] = self.store.save(keys[view], shape, self.dtype, parts)
        return [one for one in found.values() if one is not None]

    def _computed(self, pixels: Callable[[int], Pixels]) -> Iterator[Floats]:
        for start in range(0, len(self.images), BATCH_SIZE):
            batch = range(start, min(start + BATCH_SIZE, len(self.images)))
            yield apply_in_batches(self.front, np.stack([pixels(index) for index in batch]))

    def _keys(self, views: Iterable[int]) -> dict[int, str]:
        known = {
            "version": _VERSION,
            "keras": keras.__version__,
            **rounding(),
            "front": digest_of_front(self.front).hex(),
            "images": hashlib.sha256(np.ascontiguousarray(self.images).data).hexdigest(),
            "type": np.dtype(self.dtype).str,
            **self.drawn,
        }
        return {view: _hash({**known, "view": view}) for view in views}


def _hash(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

"""Training of EfficientNetB0 at 128 pixels: a clinic's rounds, Keras' fit, and PyTorch with timm.

Batches of 16, AdamW, all cores. The peers and our full fine-tuning train every block, without augmentation.
The default recipe trains on what four frozen blocks make of augmented views: the whole run of 16 rounds with
the views' first pass, and its rounds after the first. That of drawn images freezes all blocks. All start from
random weights: the time is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import numpy as np

from benchmarks.comparisons import Place
from benchmarks.measuring import Goal, Way
from benchmarks.peers import TORCH, PeerMissing, environment, worker
from benchmarks.pictures import pictures

IMAGES, SIDE = 192, 128
SECOND = "images a second"
LATER = f"{SECOND}, later rounds"
FULL, DEFAULT, DRAWN = "full fine-tuning", "default recipe", "default recipe of drawn images"
KERAS, TIMM = "Keras fit", "PyTorch + timm"
GOALS = tuple(
    Goal(figure, ours, peer, limit, more=True)
    for figure, ours, limit in (
        *((SECOND, FULL, 1.0), (SECOND, DEFAULT, 5.0), (SECOND, DRAWN, 5.0)),
        *((LATER, DEFAULT, 5.0), (LATER, DRAWN, 5.0)),
    )
    for peer in (KERAS, TIMM)
)
SLOW = False


@contextmanager
def ways(place: Place) -> Iterator[Mapping[str, Way]]:
    """A process each, with its network traced."""
    path = place.folder / "images.npy"
    np.save(path, pictures(place, IMAGES, SIDE))
    with ExitStack() as stack:
        start = stack.enter_context
        found = {
            FULL: start(worker("our_training", "full", path, place.folder)),
            DEFAULT: start(worker("our_training", "default", path, place.folder)),
            DRAWN: start(worker("our_training", "drawn", path, place.folder)),
            KERAS: start(worker("keras_fit", path)),
        }
        try:
            found[TIMM] = start(worker("timm_training", path, python=environment(*TORCH)))
        except PeerMissing as missing:
            place.note(str(missing))
        yield found

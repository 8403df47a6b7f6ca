"""Score-CAM of EfficientNetB0's last layer at 128 pixels: ours, pytorch-grad-cam and tf-keras-vis.

1,280 channels. *Exact* has a masked pass for each, as the peers have; *fast* one for each cluster of maps.
pytorch-grad-cam explains torchvision's EfficientNet-B0. All have random weights: the exact work is the same.
Fast Score-CAM stops sooner on some images than on others: ``python -m benchmarks.scorecam`` measures it on a
trained model, with its agreement with the exact map.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import numpy as np

from benchmarks.comparisons import Place
from benchmarks.measuring import Goal, Way
from benchmarks.peers import TF_KERAS_VIS, TORCH, PeerMissing, environment, worker
from benchmarks.pictures import pictures
from benchmarks.untrained import save_untrained

SIDE, IMAGES, FIGURE = 128, 3, "seconds a map"
PEERS = {"pytorch-grad-cam": TORCH, "tf-keras-vis": TF_KERAS_VIS}
GOALS = tuple(
    Goal(FIGURE, way, peer, limit) for way, limit in (("exact", 6), ("fast", 120)) for peer in PEERS
)
SLOW = False


@contextmanager
def ways(place: Place) -> Iterator[Mapping[str, Way]]:
    """A process each."""
    path, model = place.folder / "images.npy", save_untrained(place.folder, image_size=SIDE)
    np.save(path, pictures(place, IMAGES, SIDE))
    with ExitStack() as stack:
        start = stack.enter_context
        found = {name: start(worker("scorecam_map", name, model, path)) for name in ("fast", "exact")}
        for name, peer in PEERS.items():
            try:
                found[name] = start(worker("scorecam_map", name, model, path, python=environment(*peer)))
            except PeerMissing as missing:
                place.note(str(missing))
        yield found

"""A diagnosis without map of a JPEG of 3 megapixels over HTTPS, saved before it is answered, beside Keras.

Our node serves a model of the default recipe (192 pixels, two views of each image) and is asked over one
connection that stays open; then 8 devices ask at once. The peer is what somebody writes: OpenCV, the
package bm3d or no denoising, and Keras' ``predict`` of one view, in one process, without HTTPS or a disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from time import perf_counter

import cv2
import numpy as np

from benchmarks.comparisons import Place
from benchmarks.measuring import Figures, Goal, Way
from benchmarks.peers import PeerMissing, worker
from benchmarks.pictures import pictures
from benchmarks.serve.node import Device, running_node
from benchmarks.untrained import save_untrained

SIDE, WIDTH, HEIGHT = 192, 2048, 1536
ALONE, CROWD, EACH, SLOW_PEER = (
    20,
    8,
    8,
    3,
)  # images of a turn: alone, devices, images of each; of a slow peer
P95, RATE, OURS = "seconds, p95", "diagnoses a second, 8 devices", "node over HTTPS"
KERAS, BM3D = "Keras predict + OpenCV", "Keras predict + OpenCV + bm3d"
GOALS = (
    Goal(P95, OURS, limit=0.12),
    Goal(P95, OURS, BM3D),
    Goal(P95, OURS, KERAS),
    Goal(RATE, OURS, limit=20, more=True),
)
SLOW = False


@contextmanager
def ways(place: Place) -> Iterator[Mapping[str, Way]]:
    """The node, warmed up, and a process for each peer."""
    model = save_untrained(place.folder, image_size=SIDE, features="blocks", views_at_test=2)
    jpeg = place.folder / "lesion.jpg"
    lesion = cv2.resize(pictures(place, 1, 1024)[0], (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(jpeg), lesion[..., ::-1])
    with ExitStack() as stack:
        start = stack.enter_context
        node = start(running_node(str(model), place.folder, place.folder, CROWD))
        found = {OURS: node_way([Device(node, token) for token in node.tokens], jpeg.read_bytes())}
        for name, denoiser, count in ((KERAS, "none", ALONE), (BM3D, "bm3d", SLOW_PEER)):
            try:
                found[name] = start(worker("keras_serving", denoiser, SIDE, jpeg, count))
            except PeerMissing as missing:
                place.note(str(missing))
        yield found


def node_way(devices: list[Device], jpeg: bytes) -> Way:
    """The figures of the node: of one device, then of all."""

    def diagnose(device: Device, count: int) -> None:
        for _ in range(count):
            device.diagnose(jpeg, heatmap=False)

    def measure() -> Figures:
        devices[0].diagnosed.clear()
        diagnose(devices[0], ALONE)
        p95 = float(np.quantile(devices[0].diagnosed, 0.95))
        before, start = sum(len(device.ids) for device in devices), perf_counter()
        with ThreadPoolExecutor(len(devices)) as threads:
            list(threads.map(lambda device: diagnose(device, EACH), devices))
        answered = sum(len(device.ids) for device in devices) - before
        return {P95: p95, RATE: answered / (perf_counter() - start)}

    with ThreadPoolExecutor(len(devices)) as threads:  # warms up each device's connection
        list(threads.map(lambda device: diagnose(device, 1), devices))
    return measure

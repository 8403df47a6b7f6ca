"""A round besides training of EfficientNetB0's weights, 3 clinics: ours over TLS, stock Flower, and NVFlare.

All sides move the weights (4 million) to each clinic to train and to evaluate, and back once; no clinic
trains. All of it runs on this machine, nodes and server in processes of their own, and the messages pass a
relay that counts the bytes. A turn is a run of two rounds, of which the second is measured.

Ours has TLS, node keys, gate and audit log; only the trainer is replaced. Stock Flower is FedAvg with an
array for each layer and its default of a process for each message. To its advantage: no TLS, no node keys,
nothing on the disk, and no TensorFlow in its clients, which a real one would load in each of those processes.
:mod:`benchmarks.cost.nvflare` says what NVFlare does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count

from benchmarks.comparisons import Place
from benchmarks.cost.nvflare import nvflare_rounds
from benchmarks.cost.ours import our_rounds
from benchmarks.cost.relay import Cost
from benchmarks.cost.stock import stock_rounds
from benchmarks.federation import in_own_process
from benchmarks.measuring import Figures, Goal, Way
from benchmarks.peers import NVFLARE, PeerMissing, environment

CLINICS, ROUNDS = 3, 2
SECONDS, MB = "seconds a round", "MB a round and clinic"
OURS, STOCK, POC = "fl-server and fl-client, TLS", "stock Flower", "NVFlare POC, TLS"
GOALS = (
    Goal(SECONDS, OURS, STOCK, 20),
    Goal(SECONDS, OURS, POC),
    Goal(MB, OURS, STOCK),
    Goal(MB, OURS, POC),
    Goal(MB, OURS, limit=17),
)
SLOW = True


@contextmanager
def ways(place: Place) -> Iterator[Mapping[str, Way]]:
    """A federation of its own for each turn."""
    shapes, turns = in_own_process(shapes_of_weights), count()

    def way(run: Callable[[], Cost]) -> Figures:
        cost = run()
        return {SECONDS: cost.seconds, MB: cost.bytes / CLINICS / 1e6}

    found = {
        OURS: lambda: way(lambda: our_rounds(place.folder / f"ours{next(turns)}", CLINICS, ROUNDS)),
        STOCK: lambda: way(
            lambda: stock_rounds(place.folder / f"stock{next(turns)}", CLINICS, ROUNDS, shapes)
        ),
    }
    try:
        python = environment(*NVFLARE)
        found[POC] = lambda: way(
            lambda: nvflare_rounds(python, place.folder / f"nvflare{next(turns)}", CLINICS, ROUNDS)
        )
    except PeerMissing as error:
        place.note(str(error))
    yield found


def shapes_of_weights() -> list[tuple[int, ...]]:
    """Shapes of the weights of EfficientNetB0 with three classes, an array for each."""
    from dermafed.shared.lesions.record import PAPER_CLASSES
    from dermafed.shared.model.classifier import build_classifier
    from dermafed.shared.model.model_settings import ModelSettings

    classifier = build_classifier(ModelSettings(PAPER_CLASSES, image_size=64))
    return [tuple(weight.shape) for weight in classifier.weights]

"""PyTorch's training of timm's EfficientNet-B0 on IMAGES.npy: a pass a measurement, AdamW, batches of 16.

In channels-last order, which is faster on a CPU.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter

import numpy as np
import timm
import torch

from benchmarks.workers.answering import answer

BATCH, CLASSES = 16, 3
SECOND = "images a second"


def prepare() -> Callable[[], dict[str, float]]:
    pixels = np.load(sys.argv[1])
    images, labels = pixels.transpose(0, 3, 1, 2), torch.arange(len(pixels)) % CLASSES
    network = timm.create_model("efficientnet_b0", num_classes=CLASSES).to(memory_format=torch.channels_last)
    optimizer, loss_of = torch.optim.AdamW(network.parameters(), 1e-3), torch.nn.CrossEntropyLoss()
    order = np.random.default_rng(0)
    network.train()

    def fit(count: int) -> dict[str, float]:
        start = perf_counter()
        for at in np.split(order.permutation(count), range(BATCH, count, BATCH)):
            batch = torch.from_numpy(images[at].astype(np.float32) / 255)
            optimizer.zero_grad()
            loss = loss_of(network(batch.to(memory_format=torch.channels_last)), labels[at])
            loss.backward()
            optimizer.step()
        rate = count / (perf_counter() - start)
        return {SECOND: rate, f"{SECOND}, later rounds": rate}

    fit(BATCH)
    return lambda: fit(len(images))


if __name__ == "__main__":
    answer(prepare)

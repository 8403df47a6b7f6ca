"""The blocks of an EfficientNet, by the names of its layers."""

from __future__ import annotations

import keras


def block_of(name: str) -> int:
    """The block (1 to 7) a backbone layer belongs to; 0 for the stem, 8 for the top."""
    if name.startswith("block"):
        return int(name[5])
    return 8 if name.startswith("top_") else 0


def maps_of_blocks(network: keras.Model) -> dict[int, keras.KerasTensor]:
    """The last maps (N, h, w, K) of each block, by its number; empty for a network of another kind."""
    last = {block_of(layer.name): layer.output for layer in network.layers}
    return {block: maps for block, maps in last.items() if 1 <= block <= 7}

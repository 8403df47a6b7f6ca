"""Flower's SuperNode as a child of the clinic's supervisor; arguments are those of ``flower-supernode``."""

from __future__ import annotations

from dermafed.client.node.flower.supernode_names import run_supernode
from dermafed.client.node.lifeline import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    run_supernode()

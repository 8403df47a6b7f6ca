"""An update whose changes travel in few bits, where the server asks for that."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from dermafed.shared.compression.coded_change import rounded_model
from dermafed.shared.privacy.secret_random import SecretRandom
from dermafed.shared.protocol.messages import Instruction
from dermafed.shared.training.trainer import Update


def rounded_update(asked: Instruction, update: Update) -> Update:
    """The update with its coded changes rounded at random to as fine a step as their bits allow.

    The random numbers follow from the update itself, so that a round that is repeated gives the same again.

    Raises:
        FederationError: a coded change is not finite.
    """
    if asked.selection is None or not asked.selection.coded_size:
        return update
    random = SecretRandom(hashlib.sha256(update.weights.tobytes()).digest())
    weights = rounded_model(asked.weights, update.weights, asked.selection, asked.model, random)
    return replace(update, weights=weights)

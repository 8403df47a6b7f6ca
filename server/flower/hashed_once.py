"""Hash what messages share, as the model, once: Flower forgets what it has hashed with each message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from flwr.supercore.inflatable.inflatable_object import _is_recompute_enabled, no_object_id_recompute


@contextmanager
def hashed_once() -> Iterator[None]:
    """Within it no object changes and each is hashed once; a context within it begins nothing anew."""
    with no_object_id_recompute() if _is_recompute_enabled() else nullcontext():
        yield

"""What is fuzzed: what reads the bytes of others; they end as something read or as one of our errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from dermafed.shared.errors import DermaFedError

SECONDS = 10  # of one core, at most, for one input
_LONGEST_TEXT = 60_000  # characters of an error


@dataclass(frozen=True)
class Target:
    """One thing that reads what others send.

    Attributes:
        module: has ``take(data)``, one execution, which returns the outcome, and ``seeds()``, valid inputs.
        covered: the packages whose coverage guides the search.
        longest: bytes of an input at most.
    """

    module: str
    covered: tuple[str, ...]
    longest: int = 8_000

    def load(self) -> tuple[Callable[[bytes], str], list[bytes]]:
        """Its two functions' values: the execution, and the inputs to start from."""
        loaded = import_module(self.module)
        return loaded.take, loaded.seeds()


TARGETS = {
    "intake": Target(
        "tests.client.clinic.intake.fuzzing",
        ("dermafed.client.clinic.intake", "dermafed.shared.imaging.decoding", "PIL", "pydicom"),
        longest=20_000,
    ),
    "replies": Target(
        "tests.fuzzing.replies",
        ("dermafed.server.rounds", "dermafed.shared.protocol", "dermafed.shared.metrics", "flwr.common"),
    ),
    "last_sums": Target(
        "tests.fuzzing.last_sums",
        (
            *("dermafed.shared.protocol", "dermafed.shared.metrics"),
            *("dermafed.shared.training.exact_head", "dermafed.shared.lesion_finder"),
        ),
    ),
    "objects": Target(
        "tests.fuzzing.objects",
        ("dermafed.server.flower", "flwr.supercore.inflatable", "flwr.common", "flwr.app"),
    ),
    "messages": Target(
        "tests.fuzzing.messages",
        ("dermafed.client.node", "dermafed.shared.protocol", "dermafed.shared.metrics", "flwr.common"),
    ),
    "offer": Target("tests.fuzzing.offers", ("dermafed.shared", "dermafed.client.node.clinic_settings")),
    "plan": Target("tests.fuzzing.plans", ("dermafed.shared", "dermafed.server.coordinator")),
    "invitation": Target("tests.fuzzing.invitations", ("dermafed.shared.protocol", "dermafed.shared.names")),
    "datasets": Target("tests.fuzzing.datasets", ("dermafed.shared.lesions",)),
}


def outcome(read: Callable[[bytes], str], data: bytes) -> str:
    """What becomes of an input: what ``read`` returns, or the type of our error.

    Raises:
        AssertionError: it took too long, or the error has no text that can be shown.
    """
    start, refused = time.process_time(), None
    try:
        found = read(data)
    except DermaFedError as error:
        refused, found = error, type(error).__name__
    if refused is not None:
        assert refused.what
        assert len(str(refused)) < _LONGEST_TEXT, str(refused)[:1000]
        assert str(refused).isprintable(), str(refused)
    assert time.process_time() - start < SECONDS
    return found

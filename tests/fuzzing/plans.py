"""A coordinator's plan file; first byte 0: the rest is it, or its changes."""

from __future__ import annotations

import tempfile
import tomllib
from pathlib import Path

import tomli_w

from dermafed.server.coordinator.plan_file import documented_plan, read_plan
from dermafed.shared.protocol.offer import Offer
from tests.fuzzing.documents import LENGTH, edited
from tests.fuzzing.target import outcome

SHORT = """name = "spring"
rounds = 4
weights = "none"
clinics = ["graz", "linz"]
[labels]
MM = "melanoma"
[model]
image_size = 64
classes = ["melanoma", "nevus"]
[training]
learning_rate = 0.001
[rules]
quorum = 1
deadline = "90s"
"""

_folder = tempfile.TemporaryDirectory(prefix="fuzz-")
DOCUMENT = tomllib.loads(documented_plan().replace("imagenet", "none"))
PATH = Path(_folder.name) / "plan.toml"


def read(data: bytes) -> str:
    PATH.write_bytes(data)
    plan, text = read_plan(PATH)
    assert text == data.decode()
    plan.round_rules(len(plan.clinics or ()) or 1_000_000)
    assert plan.approval_seconds > 0
    assert plan.to_dict()["run"]["name"] == plan.offer.name
    assert Offer.from_text(plan.offer.to_text()) == plan.offer
    return "received"


def take(data: bytes) -> str:
    if data[:1] == b"\0":
        return outcome(read, data[1:])
    try:
        text = tomli_w.dumps(edited(DOCUMENT, data[1:])).encode()
    except (TypeError, ValueError, AttributeError):  # TOML has no such value
        return "no plan"
    return outcome(read, text)


def seeds() -> list[bytes]:
    texts = (SHORT, documented_plan().replace("imagenet", "none"))
    changes = bytes([2, 0, 2, 9]) + bytes(LENGTH - 4)
    return [*(b"\0" + text.encode() for text in texts), b"\1", b"\1" + changes]

"""Each clinic's share of a run's mean, known before its first round: logged, and in the run's folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from dermafed.server.rounds.shares import Member, capped_weights, shares
from dermafed.shared.errors import FederationError
from dermafed.shared.storage.atomic_files import write_json

SHARES_FILE = "shares.json"

log = logging.getLogger("dermafed.server")


def save_shares(folder: Path, members: Mapping[str, Member], largest_share: float) -> None:
    """Log and save the shares that the members have where all of them reply.

    Raises:
        StorageError: the file cannot be written.
    """
    before = {name: member.weight for name, member in members.items()}
    after, uncapped = shares(capped_weights(before, largest_share)), shares(before)
    capped = {name for name in after if after[name] < uncapped[name] - 1e-9}
    for name, share in sorted(after.items()):
        by_images = f", without the cap {100 * uncapped[name]:.1f} %" if name in capped else ""
        log.info("%s has %.1f %% of the mean%s", name, 100 * share, by_images)
    write_json(
        folder / SHARES_FILE,
        {name: {"share": share, "uncapped": uncapped[name]} for name, share in sorted(after.items())},
    )


def load_shares(folder: Path) -> dict[str, float]:
    """Each clinic's share by name; empty for a run that has none, such as one of version 0.1.0.

    Raises:
        FederationError: the file is damaged.
    """
    path = folder / SHARES_FILE
    if not path.exists():
        return {}
    try:
        return {name: float(found["share"]) for name, found in json.loads(path.read_text("utf-8")).items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise FederationError(
            "The shares of the run cannot be read", where=path, remedy="Delete the file; a run writes it anew"
        ) from error

"""Tables in Markdown, all alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, names: int) -> str:
    """A table whose first columns, ``names`` of them, stand left, and whose figures stand right.

    Args:
        head: the columns' names.
        rows: as many cells each.
        names: how many columns are words.
    """
    rule = ["---"] * names + ["---:"] * (len(head) - names)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *rows))


def heading(name: str) -> str:
    """A figure's name as it stands above a column.

    Example:
        "balanced_accuracy" is "Balanced accuracy", and "challenge_auc" is "Challenge AUC".
    """
    words = re.sub(r"\b(auc|mb|psnr)\b", lambda found: found[0].upper(), name.replace("_", " "))
    return words[:1].upper() + words[1:]

"""Writes tables in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, names: int) -> str:
    """A table whose columns of names are aligned left, and whose columns of numbers are aligned right.

    Args:
        head: the headings of the columns.
        rows: the cells of each row.
        names: number of columns, the first ones, with names.
    """
    rule = ["---"] * names + ["---:"] * (len(head) - names)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *rows))


def heading(name: str) -> str:
    """A metric's name as the heading of a column.

    Example:
        "balanced_accuracy" is "Balanced accuracy", and "challenge_auc" is "Challenge AUC".
    """
    text = re.sub(r"\b(auc|mb|psnr|ssim)\b", lambda found: found[0].upper(), name.replace("_", " "))
    return text[:1].upper() + text[1:]

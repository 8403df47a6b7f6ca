"""Tables in Markdown, all alike."""

from __future__ import annotations

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

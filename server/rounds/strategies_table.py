"""The table of strategies in the documentation."""

from __future__ import annotations

from dermafed.server.rounds.strategies import STRATEGIES


def strategies_table() -> str:
    """The strategies with their options' defaults, as a Markdown table for the documentation."""
    lines = ["| `--strategy` | The step | Options' defaults |", "|---|---|---|"]
    for name, kind in STRATEGIES.items():
        options = ", ".join(f"{option} {value:g}" for option, value in kind().to_dict().items())
        lines.append(f"| `{name}` | {(kind.__doc__ or '').splitlines()[0].rstrip('.')} | {options} |")
    return "\n".join(lines) + "\n"

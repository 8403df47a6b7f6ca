"""The reliability figure: accuracy against confidence, before and after scaling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dermafed.shared.metrics.calibration.reliability import ConfidenceBins, ReliabilityBin

_BAR, _LINE = "#4477aa", "#bb5566"  # told apart by the colour-blind (Paul Tol's)


def reliability_figure(before: ConfidenceBins, after: ConfidenceBins) -> Figure:
    """Draw both sides by side; each bar has its 95 % interval, a faithful model follows the diagonal."""
    drawing = Figure(figsize=(7.0, 3.4), layout="constrained")
    sides = {"before": before, "after scaling": after}
    for axes, (name, bins) in zip(drawing.subplots(1, 2, sharey=True), sides.items(), strict=True):
        _draw(axes, bins.bars())
        axes.set_title(f"{name}: calibration error {bins.error:.3f}", fontsize=10)
        axes.set_xlabel("top probability")
    drawing.axes[0].set_ylabel("share that is right")
    return drawing


def _draw(axes: Axes, bars: Sequence[ReliabilityBin]) -> None:
    middles = [(bar.low + bar.high) / 2 for bar in bars]
    heights = np.array([bar.accuracy for bar in bars])
    reach = np.array([(bar.interval.low, bar.interval.high) for bar in bars]).T
    errors = np.abs(reach - heights)
    width = 0.9 * (bars[0].high - bars[0].low)
    axes.bar(middles, heights, width, color=_BAR, yerr=errors, ecolor="#666666", error_kw={"linewidth": 0.8})
    axes.plot([bar.confidence for bar in bars], heights, "o", color="black", markersize=2)
    axes.plot([0, 1], [0, 1], color=_LINE, linewidth=1.2, linestyle="--")
    axes.set(xlim=(0, 1), ylim=(0, 1))

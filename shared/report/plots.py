"""The report's plots as inline SVG, and its photographs as data URIs."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

# Colours matplotlib draws with, and the page's variables they become: a plot follows light and dark mode.
_INK, _LINE = "#010101", "#020202"
_ARMS = {"local": "#030303", "federated": "#040404", "pooled": "#050505"}
CLASS_COLOURS = 8
_CLASSES = [f"#0606{index:02x}" for index in range(CLASS_COLOURS)]
_VARIABLES = (
    {_INK: "var(--soft)", _LINE: "var(--line)"}
    | {colour: f"var(--{arm})" for arm, colour in _ARMS.items()}
    | {colour: f"var(--class-{index})" for index, colour in enumerate(_CLASSES)}
)

_DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)))
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "dermafed",  # the same run, the same file
    "font.size": 10,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _LINE,
    "grid.color": _LINE,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}


def curve(history: Sequence[Mapping[str, Any]], metric: str) -> Markup:
    """Plot one metric of every arm, round by round.

    Args:
        history: rows with ``arm``, ``round`` and the metric; undefined values leave a gap.
        metric: the key of the rows to draw, e.g. ``validation_auc``.

    Returns:
        An ``<svg>`` without a size of its own.
    """
    with mpl.rc_context(_STYLE):
        drawing, axes = _panel(4.0, 2.7)
        # Local arms first, so that the federated model's curve lies on top of them.
        for name, rows in sorted(_by_arm(history).items(), key=lambda item: not item[0].startswith("local")):
            rounds = [row["round"] for row in rows]
            values = np.array([row.get(metric) for row in rows], dtype=float)  # None becomes NaN, a gap
            axes.plot(rounds, values, **_arm_line(name.split(":")[0], len(rounds)))
        axes.set_xlabel("round")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        return _svg(drawing, metric)


def _by_arm(history: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    arms: dict[str, list[Mapping[str, Any]]] = {}
    for row in history:
        arms.setdefault(row["arm"], []).append(row)
    return arms


def _arm_line(arm: str, rounds: int) -> dict[str, Any]:
    width, dashes = {"local": (1.0, "-"), "federated": (2.4, "-"), "pooled": (1.8, (0, (4, 2)))}[arm]
    # A curve over very few rounds is hardly a line: show its points.
    marker = "o" if rounds < 4 else ""
    return {"color": _ARMS[arm], "linewidth": width, "linestyle": dashes, "marker": marker, "markersize": 4}


def roc(labels: NDArray[np.int64], probabilities: NDArray[np.float64], classes: Sequence[str]) -> Markup:
    """Plot the ROC curves of each class against the rest on one set of axes.

    Args:
        labels: int (N,).
        probabilities: float (N, C).
        classes: C names; classes without both sides are left out.

    Returns:
        An ``<svg>`` without a size of its own.
    """
    with mpl.rc_context(_STYLE):
        drawing, axes = _panel(4.0, 3.8)
        axes.grid(axis="x")
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, linestyle=(0, (1, 3)))
        for index in range(len(classes)):
            positive = np.asarray(labels) == index
            if not positive.any() or positive.all():
                continue
            false_alarms, found, _ = roc_curve(positive, np.asarray(probabilities)[:, index])
            colour, dashes = _CLASSES[index % CLASS_COLOURS], _DASHES[index % len(_DASHES)]
            axes.plot(false_alarms, found, color=colour, linestyle=dashes, linewidth=2)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="false alarms (1 - specificity)", ylabel="found (sensitivity)")
        return _svg(drawing, "roc")


def decision_curves(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> Markup:
    """Plot net benefit by threshold probability: of each arm, of a biopsy of every lesion, and of none.

    Args:
        curves: by arm (local, federated, pooled), points with ``threshold_probability``, ``model``
            and ``all``; all arms on the same lesions. The last arm lies on top.

    Returns:
        An ``<svg>`` without a size of its own.
    """
    with mpl.rc_context(_STYLE):
        drawing, axes = _panel(9.0, 3.2)
        every = next(iter(curves.values()))
        at = [point["threshold_probability"] for point in every]
        axes.axhline(0, color=_INK, linewidth=0.8)
        axes.plot(at, [point["all"] for point in every], color=_INK, linewidth=1, linestyle=(0, (1, 2)))
        for arm, points in curves.items():
            axes.plot(at, [point["model"] for point in points], **_arm_line(arm, len(points)))
        highest = max(
            point[name] for points in curves.values() for point in points for name in ("model", "all")
        )
        # A biopsy of every lesion soon costs more than it is worth: its line leaves the picture.
        axes.set(ylim=(-0.15 * max(highest, 0.01), 1.05 * max(highest, 0.01)))
        axes.set(xlabel="threshold probability", ylabel="net benefit")
        return _svg(drawing, "decision")


def _panel(width: float, height: float) -> tuple[Figure, Axes]:
    drawing = Figure(figsize=(width, height), layout="constrained")
    return drawing, drawing.add_subplot()


def _svg(drawing: Figure, name: str) -> Markup:
    """The drawing as inline SVG: no prolog, no size, ids that start with its name, the page's own colours."""
    buffer = io.StringIO()
    drawing.savefig(buffer, format="svg", transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', r'<svg \1 aria-hidden="true">', text, count=1)
    for opening in ('id="', 'href="#', "url(#"):
        text = text.replace(opening, f"{opening}{name}-")
    return Markup(re.sub("|".join(_VARIABLES), lambda match: _VARIABLES[match.group()], text))


def photograph(image: NDArray[Any], longest: int) -> str:
    """Encode a photograph as a PNG data URI.

    Args:
        image: uint8 (H, W, 3) RGB.
        longest: pixels of the longer side at most; larger images are reduced.
    """
    scale = longest / max(image.shape[:2])
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()

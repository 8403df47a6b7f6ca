"""Write a model card: ``card.md`` for the Hugging Face Hub and for people, ``card.html`` for a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markdown_it import MarkdownIt
from markupsafe import Markup

import dermafed.shared.report
from dermafed.server.model_card.card_facts import (
    CardFacts,
    has_enough_of_each_class,
    publishable_counts,
    publishable_tests,
)
from dermafed.shared.explain.quality.quality_sums import MEASURES
from dermafed.shared.lesions.diagnoses import canonical
from dermafed.shared.report import sentences
from dermafed.shared.storage.atomic_files import make_folder, write_atomically

MARKDOWN_FILE, HTML_FILE = "card.md", "card.html"
_TEMPLATES = Path(__file__).parent / "templates"
_SCROLLING = '<div class="wide" role="group" aria-label="Table" tabindex="0"><table>'
_SPECIAL = re.compile(r"([\\`*_\[\]<>|&#~!$])")
_METRICS = {
    "balanced_accuracy": ("balanced_accuracy", "Balanced accuracy"),
    "accuracy": ("accuracy", "Accuracy"),
    "auc": ("roc_auc", "AUC, mean of each class against the rest"),
    "f1": ("f1", "F1, mean over the classes"),
}
"""Our metrics: their names on the Hub, and for people."""
_TASK = {"type": "image-classification", "name": "Skin lesion classification"}


def write_card(folder: Path, facts: CardFacts) -> tuple[Path, Path]:
    """Write a run's model card, in place of an existing one.

    Args:
        folder: the folder of the card; created if it does not exist.
        facts: the facts of the run.

    Returns:
        The Markdown and the HTML file.

    Raises:
        StorageError: the folder cannot be written.
    """
    make_folder(folder)
    head, body = f"---\n{front_matter(facts)}---\n\n", card_text(facts)
    files = (folder / MARKDOWN_FILE, folder / HTML_FILE)
    write_atomically(files[0], (head + body).encode())
    write_atomically(files[1], _page(facts.name, body).encode())
    return files


def card_text(facts: CardFacts) -> str:
    """The card in Markdown, without its front matter."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_escaped,
    )
    environment.filters |= {
        "number": sentences.number,
        "spaced": sentences.spaced,
        "setting": sentences.setting,
        "interval": _interval,
    }
    return environment.get_template("card.md").render(
        facts=facts,
        clinics=publishable_counts(facts.clinics),
        images=publishable_counts(facts.images),
        lowest=_lowest_clinic(facts),
        melanoma=next((name for name in facts.model.model.classes if canonical(name) == "melanoma"), None),
        measures=MEASURES,
        tests=publishable_tests(facts.tests),
        has_enough_of_each_class=has_enough_of_each_class,
    )


def _escaped(value: object) -> str:
    """Escape a value so that it contains no Markdown: names come from the clinics."""
    return _SPECIAL.sub(r"\\\1", re.sub(r"\s", " ", str(value)))


def _interval(interval: Mapping[str, Any] | None) -> str:
    if interval is None or interval["low"] is None:
        return ""
    return f" ({interval['low']:.3f}–{interval['high']:.3f})"


def _lowest_clinic(facts: CardFacts) -> str | None:
    """The clinic with the lowest balanced accuracy, if several clinics may be reported."""
    clinics = {
        name: test
        for name, test in list(publishable_tests(facts.tests).items())[1:]
        if has_enough_of_each_class(test)
    }
    if len(clinics) < 2:
        return None
    return min(clinics, key=lambda name: float(clinics[name]["balanced_accuracy"]))


def _page(title: str, body: str) -> str:
    # Without raw HTML: a clinic's name stays text.
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(body)
    html = html.replace("<table>", _SCROLLING).replace("</table>", "</table></div>")
    folders = [_TEMPLATES, Path(dermafed.shared.report.__file__).parent]
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(folders), autoescape=True)
    return environment.get_template("card.html").render(title=title, body=Markup(html))


def front_matter(facts: CardFacts) -> str:
    """The YAML between the two lines ``---``.

    The licence is ``unknown`` until the publisher of the model states it: the images' licences bind it.

    Args:
        facts: the facts of the run.
    """
    content = {
        "license": "unknown",
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["dermatology", "dermoscopy", "federated-learning", *(["synthetic"] * facts.synthetic)],
        "metrics": [name for name, _ in _METRICS.values()],
        "model-index": [{"name": facts.name, "results": list(_results(facts))}],
    }
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    return text


def _results(facts: CardFacts) -> Iterator[dict[str, Any]]:
    if facts.training["batch_norm"] == "local":
        return  # the clinics were evaluated with models that are not in the file
    for name, metrics in publishable_tests(facts.tests).items():
        published = metrics if has_enough_of_each_class(metrics) else {"accuracy": metrics["accuracy"]}
        yield _result(f"Test images of {name}", "test", published)
    if not facts.tests and facts.validation is not None:
        validation = {
            name.removeprefix("validation_"): value
            for name, value in facts.validation.items()
            if name.startswith("validation_")
        }
        yield _result("Validation images of all clinics", "validation", validation)


def _result(name: str, split: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    rows = [
        {"type": kind, "name": label, "value": round(metrics[key], 4)}
        for key, (kind, label) in _METRICS.items()
        if metrics.get(key) is not None
    ]
    return {
        "task": dict(_TASK),  # a copy: YAML would refer to the first otherwise
        "dataset": {"type": "dermoscopy", "name": name, "split": split},
        "metrics": rows,
    }

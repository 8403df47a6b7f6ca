"""Write a model card: ``card.md`` for the Hugging Face Hub and for people, ``card.html`` for a browser.

Beside it are the reporting checklists, of :mod:`dermafed.server.model_card.checklists`.
"""

from __future__ import annotations

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
from dermafed.server.model_card.checklists import CHECKLISTS_FILE, checklists_text
from dermafed.server.model_card.markdown_template import TEMPLATES, render_markdown
from dermafed.shared.explain.quality.quality_sums import MEASURES
from dermafed.shared.report.audit_tables import DASH, HOW, audit_tables, counted
from dermafed.shared.storage.atomic_files import make_folder, write_atomically

MARKDOWN_FILE, HTML_FILE = "card.md", "card.html"
_SCROLLING = '<div class="wide" role="group" aria-label="Table" tabindex="0"><table>'
_METRICS = {
    "balanced_accuracy": ("balanced_accuracy", "Balanced accuracy"),
    "accuracy": ("accuracy", "Accuracy"),
    "auc": ("roc_auc", "AUC, mean of each class against the rest"),
    "f1": ("f1", "F1, mean over the classes"),
}
"""Our metrics: their names on the Hub, and for people."""
_TASK = {"type": "image-classification", "name": "Skin lesion classification"}


def write_card(folder: Path, facts: CardFacts) -> tuple[Path, Path, Path]:
    """Write a run's model card and its checklists, in place of existing ones.

    Args:
        folder: the folder of the card; created if it does not exist.
        facts: the facts of the run.

    Returns:
        The Markdown and the HTML file of the card, and the checklists.

    Raises:
        StorageError: the folder cannot be written.
    """
    make_folder(folder)
    head, body = f"---\n{front_matter(facts)}---\n\n", card_text(facts)
    files = (folder / MARKDOWN_FILE, folder / HTML_FILE, folder / CHECKLISTS_FILE)
    for file, text in zip(files, (head + body, _page(facts.name, body), checklists_text(facts)), strict=True):
        write_atomically(file, text.encode())
    return files


def card_text(facts: CardFacts) -> str:
    """The card in Markdown, without its front matter."""
    return render_markdown(
        "card.md",
        facts=facts,
        clinics=publishable_counts(facts.clinics),
        images=publishable_counts(facts.images),
        lowest=_lowest_clinic(facts),
        melanoma=facts.melanoma,
        measures=MEASURES,
        audit_tables=[] if facts.audit is None else audit_tables(facts.audit),
        audit_text=None if facts.audit is None else f"{HOW} {counted(facts.audit)} {DASH}",
        tests=publishable_tests(facts.tests),
        has_enough_of_each_class=has_enough_of_each_class,
    )


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


def card_html(body: str) -> Markup:
    """A card's Markdown as HTML, without any of its own: a clinic's name stays text."""
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(body)
    return Markup(html.replace("<table>", _SCROLLING).replace("</table>", "</table></div>"))


def _page(title: str, body: str) -> str:
    folders = [TEMPLATES, Path(dermafed.shared.report.__file__).parent]
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(folders), autoescape=True)
    return environment.get_template("card.html").render(title=title, body=card_html(body))


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

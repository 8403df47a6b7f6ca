"""The documents agree with the result files and the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.main import get_command

import dermafed.client.cli
import dermafed.server.cli
import dermafed.simulation.cli
from dermafed.simulation.studies.marks import unmarked_numbers
from dermafed.simulation.studies.publish import documents, outdated_documents
from tests.paths import ROOT

UPDATE = "python -m dermafed.simulation.studies.publish"


def test_every_marked_number_is_that_of_its_result_file() -> None:
    assert not outdated_documents(ROOT), UPDATE


def test_documents_of_marked_numbers_have_no_other_numbers() -> None:
    assert {
        path: found for path in documents(ROOT) if (found := unmarked_numbers(path.read_text("utf-8")))
    } == {}


def test_every_result_file_is_quoted() -> None:
    quoted = "".join(path.read_text("utf-8") for path in documents(ROOT))
    for path in (ROOT / "docs" / "results").glob("*.json"):
        assert f"<!-- figures {path.stem}/" in quoted, path.name


def test_the_design_shows_every_package() -> None:
    shown = (ROOT / "docs" / "design.md").read_text("utf-8")
    for part in ("dermafed", "shared", "server", "client", "simulation"):
        for path in (ROOT / part).rglob("__init__.py"):
            assert f"`{path.parent.relative_to(ROOT)}/`" in shown


DOCUMENTS = [path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))]
SOURCES = [
    path.relative_to(ROOT)
    for folder in ("shared", "server", "client", "simulation", "dermafed", "benchmarks", "docker")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".html", ".sh", ".md")
]
FOLDERS = "shared|server|client|simulation|dermafed|tests|benchmarks|docs|docker|scripts"
COMMANDS = {
    "client": get_command(dermafed.client.cli.app),
    "server": get_command(dermafed.server.cli.app),
    "simulate": get_command(dermafed.simulation.cli.app),
}
COMMON = {"--help", "--install-completion", "--show-completion"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_path_in_a_document_exists(document: Path) -> None:
    text = (ROOT / document).read_text("utf-8")
    named = re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", text) + re.findall(r"`([\w./-]+/[\w-]+\.py)`", text)
    assert [name for name in named if "NEW" not in name and not (ROOT / name).exists()] == []


def test_every_test_in_a_document_exists() -> None:
    of_file = {
        str(path.relative_to(ROOT)): set(re.findall(r"^def (test_\w+)\(", path.read_text("utf-8"), re.M))
        for path in (ROOT / "tests").rglob("test_*.py")
    }
    everywhere = set().union(*of_file.values())
    named = {
        (str(document), file, name)
        for document in DOCUMENTS
        for file, name in re.findall(
            r"`(tests/[\w/]+\.py)?(?:::)?(test_\w+)`", (ROOT / document).read_text("utf-8")
        )
    }
    assert len(named) > 100
    assert {
        one for one in named if one[2] not in (of_file.get(one[1], set()) if one[1] else everywhere)
    } == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_link_in_a_document_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", (ROOT / document).read_text("utf-8"))
    for path, _, anchor in (link.partition("#") for link in links):
        target = (ROOT / document).parent / path if path else ROOT / document
        assert target.exists(), path
        assert not anchor or anchor in anchors(target.read_text("utf-8")), f"{path}#{anchor}"


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_module_that_a_document_runs_can_be_found(document: Path) -> None:
    modules = re.findall(r"-m ((?:dermafed|benchmarks)[\w.]*\w)", (ROOT / document).read_text("utf-8"))
    assert [name for name in modules if find_spec(name.removesuffix(".NAME")) is None] == []


@pytest.mark.parametrize("document", [*DOCUMENTS, *SOURCES], ids=str)
def test_every_command_in_a_text_has_its_options(document: Path) -> None:
    text = (ROOT / document).read_text("utf-8").replace("\\\n", " ")
    assert list(unknown_options(text)) == []


def unknown_options(text: str) -> Iterator[str]:
    """The options of ``fl-...`` commands in a text that these do not have."""
    for name, rest in re.findall(r"\bfl-(client|server|simulate)((?: [^\s`&|#\"]+)*)", text):
        command = COMMANDS[name]
        for argument in rest.split():
            commands = getattr(command, "commands", {})
            by_default = command if argument.startswith("-") else commands.get("list", command)
            command = commands.get(argument, by_default)
            known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
            option = re.match(r"--[a-z][a-z-]*", argument)
            if option and option[0] not in known | COMMON:
                yield f"fl-{name}{rest}: {option[0]}"

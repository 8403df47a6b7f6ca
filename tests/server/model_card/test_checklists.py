"""STARD-AI and CLEAR Derm: every item is there once, answered from the run or left to who publishes."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dermafed.server.model_card.card_facts import CardFacts
from dermafed.server.model_card.checklists import checklists_text
from dermafed.server.model_card.run_facts import simulated_facts
from dermafed.shared.metrics.calibration.calibration_file import calibration_metrics
from dermafed.shared.metrics.decision.score_counts import Alerts
from dermafed.simulation.runs.alert_points import alert_points
from tests.server.model_card.simulated_run import NORTH, SOUTH, WEIGHTS, result, simulation
from tests.shared.metrics.calibration.sample_calibration import fitted

LETTERS = {15: "abcd", 16: "abc", 17: "ab", 26: "ab", 40: "ab"}
STARD_AI = [f"{item}{letter}" for item in range(1, 41) for letter in LETTERS.get(item, [""])]
CLEAR_DERM = {"Data": 15, "Technique": 4, "Technical assessment": 4, "Application": 2}
UNKNOWN = "Not known here: to be stated by whoever publishes"

LESS: dict[str, Any] = {
    "tests": {},
    "validation": None,
    "validation_calibration": None,
    "groups": None,
    "sides": None,
    "test_alert": None,
    "skips_bad": True,
    "compared": False,
    "simulated": None,
    "synthetic": True,
}


def tables(facts: CardFacts) -> list[list[list[str]]]:
    """The cells of both tables' rows below the header, as a browser would show them."""
    found: list[list[list[str]]] = []
    tokens = MarkdownIt("commonmark").enable("table").parse(checklists_text(facts))
    for before, token in pairwise(tokens):
        if token.type == "tbody_open":
            found.append([])
        elif before.type == "tr_open" and token.type == "td_open":
            found[-1].append([])
        elif before.type == "td_open":
            found[-1][-1].append("".join(child.content for child in token.children or []))
    return found


def answers(facts: CardFacts) -> dict[str, str]:
    """The answer to each item of STARD-AI by its number, and to each topic of CLEAR Derm."""
    stard_ai, clear_derm = tables(facts)
    return {row[0]: row[2] for row in stard_ai} | {row[1]: row[2] for row in clear_derm}


def alert(melanomas: int = 20, others: int = 40) -> dict[str, Any]:
    """At a threshold of 0.3: all but one melanoma are found, and 30 % of the others alarm."""
    points = alert_points(
        {"north": Alerts(melanomas, melanomas - 1, others, others * 3 // 10)}, {"north": 0.3}
    )
    return {"sensitivity_wanted": 0.95, "validation_melanomas": 25, "threshold": 0.3, **points}


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> CardFacts:
    content = result({"north": NORTH, "south": SOUTH})
    content["settings"]["skip_bad"] = False
    content["melanoma"] = {"as_trained": {"federated": {"one_threshold": alert()}}}
    content["pooled"] = content["federated"]
    found = simulated_facts(simulation(tmp_path_factory.mktemp("run"), content))
    calibration = replace(fitted(), model=hashlib.sha256(WEIGHTS.tobytes()).hexdigest())
    line = {"attribute": "skin tone", "group": "light", "images": 30}
    return replace(found, validation_calibration=calibration_metrics(calibration), groups=[line])


@given(st.sets(st.sampled_from(sorted(LESS))))
@settings(max_examples=60, deadline=None)
def test_every_item_is_answered_whatever_the_run_knows(facts: CardFacts, dropped: set[str]) -> None:
    stard_ai, clear_derm = tables(replace(facts, **{name: LESS[name] for name in dropped}))
    assert [row[0] for row in stard_ai] == STARD_AI
    assert Counter(row[0] for row in clear_derm) == CLEAR_DERM
    for row in (*stard_ai, *clear_derm):
        assert len(row) == 3
        assert len(row[2]) > 3, row
        assert "  " not in row[2], row
        assert "None:" not in row[2] or row[2].split("None:")[1].strip(), row


def test_what_the_run_measured_is_answered_from_it(facts: CardFacts) -> None:
    found = answers(facts)
    # Two clinics of 200 images: 160 to train, 20 to validate; and the tests of 10 and 20.
    assert found["15b"].startswith("Training 320, validation 40, test 30 images. External evaluation: none")
    assert found["Sizes of the parts"] == "Training 320, validation 40, test 30 images"
    assert found["31"].startswith("Balanced accuracy 0.700 (0.")
    assert "melanoma is the largest probability in 0.500 (" in found["31"]
    assert "sensitivity 0.950 (0.751–0.999) of 20, specificity 0.700 (0.535–0.834) of 40" in found["31"]
    assert "0.300, chosen on 25 validation melanomas to find 0.950 of them" in found["15c"]
    assert "Wilson" in found["18"]
    assert found["20"].startswith("None: an unreadable image")
    assert found["28"].startswith("10 of 30 test images are of melanoma. The population's share: not known")
    assert found["Bias"] == 'By group: skin tone (card, "By group of patients")'
    assert found["Skin colour"] == 'Estimated from the images: card, "By group of patients"'
    assert "isic-predictions.csv" in found["40b"]
    assert found["Benchmarks, comparison, novelty"].startswith("With each clinic alone and with all images")


def test_what_no_run_knows_is_left_to_who_publishes(facts: CardFacts) -> None:
    found = answers(facts)
    for item in (
        "1",
        "2",
        "4",
        "6",
        "8",
        "9",
        "10",
        "11",
        "12",
        "16b",
        "22",
        "26a",
        "27",
        "35",
        "36",
        "38",
        "39",
    ):
        assert found[item] == UNKNOWN, item
    for topic in (
        "Image artefacts",
        "Technical acquisition",
        "How labels were made",
        "Public images referenced",
    ):
        assert found[topic] == UNKNOWN, topic


def test_drawn_images_have_no_patients(facts: CardFacts) -> None:
    found = answers(replace(facts, synthetic=True))
    assert found["8"] == found["26a"] == "None: a program drew the images"
    assert found["16a"] == "What the program drew"
    assert found["6"] == UNKNOWN


def test_a_federation_knows_less_and_says_so(facts: CardFacts) -> None:
    dropped = {name: value for name, value in LESS.items() if name not in ("synthetic", "skips_bad")}
    found = answers(replace(facts, **dropped, skips_bad=None))
    assert "the coordinator does not know the numbers" in found["15b"]
    assert found["20"] == UNKNOWN
    assert found["30"] == "None: the run has no test images"
    assert found["31"] == "Not measured"
    assert found["Skin colour"] == "Not measured in this run"
    assert "were given with an earlier model's answer in view" in found["17b"]
    assert found["40b"].startswith("No output about a single image leaves a clinic")


def test_small_counts_are_withheld_as_in_the_card(tmp_path: Path) -> None:
    content = result({"north": "mm mm mm mn " + "nn " * 10})
    content["clinics"][0]["splits"]["validation"] = 9
    content["melanoma"] = {"as_trained": {"federated": {"one_threshold": alert(4)}}}
    found = answers(simulated_facts(simulation(tmp_path, content)))
    assert found["Sizes of the parts"] == "Not published: a part has too few images"
    assert found["30"] == "Not published: too few test images of a class"
    assert found["31"].startswith("Accuracy 0.929 (")  # 13 of 14
    assert "Alert" not in found["31"] + found["15c"]
    assert found["28"] == UNKNOWN


def test_names_stay_text(facts: CardFacts) -> None:
    hostile = "<b>x</b> | [y](http://a.example)"
    text = checklists_text(replace(facts, name=hostile))
    heading = MarkdownIt("commonmark").enable("table").parse(text)[1]
    assert "".join(child.content for child in heading.children or []) == f"Reporting checklists: {hostile}"
    assert len(answers(replace(facts, name=hostile))) == len(STARD_AI) + sum(CLEAR_DERM.values())

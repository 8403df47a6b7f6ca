"""What the node stores in English is told in every language: sentences with their numbers, and words."""

from __future__ import annotations

import re

import pytest

from dermafed.client.clinic.answers.melanoma_line import melanoma_line
from dermafed.client.clinic.intake import quality
from dermafed.client.clinic.intake.refusals import _STATUSES
from dermafed.client.clinic.language import terms
from dermafed.client.clinic.language.languages import NAMES, choose_language, language
from dermafed.client.clinic.language.refusals import REFUSALS, tell_refusal
from dermafed.client.clinic.language.speech import speaking
from dermafed.client.clinic.language.stored import retell
from dermafed.client.clinic.store.opinions import CONFIRMATIONS
from dermafed.shared.explain.methods import METHODS
from dermafed.shared.lesion_finder.outline import Nothing
from dermafed.shared.lesion_measures.colours import REFERENCES
from dermafed.shared.lesions.diagnoses import _SPELLINGS
from dermafed.shared.metrics.decision.promise import Promise
from tests.client.clinic.answers.test_melanoma_line import ALERT, BELOW

OTHERS = [code for code in NAMES if code != "en"]
SAYS = (
    *map(str, Nothing),
    *quality.TEXTS.values(),
    Promise(12, None, None).sentence,
    Promise(76, 3, 0.2).sentence,
)
SAFETY = {
    "de": (
        "Unter der Alarmschwelle; Melanom nicht ausgeschlossen",
        "Von 30 Melanomen dieser Klinik fand der Alarm 29 und übersah 1 (95-%-Intervall des "
        "übersehenen Anteils: 0 bis 17 %).",
    ),
    "fr": (
        "Sous le seuil d’alerte ; mélanome non exclu",
        "Sur 30 mélanomes de cette clinique, l’alerte en a trouvé 29 et manqué 1 (intervalle à 95 % de "
        "la part manquée : 0 à 17 %).",
    ),
    "es": (
        "Por debajo del umbral de alerta; melanoma no descartado",
        "De 30 melanomas de esta clínica, la alerta encontró 29 y pasó por alto 1 (intervalo del 95 % de la "
        "proporción no detectada: 0 a 17 %).",
    ),
    "it": (
        "Sotto la soglia di allerta; melanoma non escluso",
        "Su 30 melanomi di questa clinica l’allerta ne ha trovati 29 e mancati 1 (intervallo al 95% "
        "della quota mancata: da 0 a 17%).",
    ),
}  # fmt: skip


@pytest.mark.parametrize("code", OTHERS)
def test_a_stored_sentence_is_told_with_its_numbers(code: str) -> None:
    with speaking(language(code)):
        for text in SAYS:
            told = retell(text)
            assert told != text
            assert sorted(re.findall(r"\d+", told)) == sorted(re.findall(r"\d+", text))
        assert retell("What an operator wrote.") == "What an operator wrote."
    assert retell(SAYS[0]) == SAYS[0]


@pytest.mark.parametrize("code", SAFETY)
def test_below_the_threshold_melanoma_is_not_excluded_and_the_missed_are_counted(code: str) -> None:
    headline, missed = SAFETY[code]
    with speaking(language(code)):
        below, alert = melanoma_line(BELOW), melanoma_line(ALERT)
    assert below.headline.replace("\u00a0", " ") == headline
    assert below.figures.replace("\u00a0", " ").endswith(missed)
    assert headline.split("; ")[-1] in alert.headline.replace("\u00a0", " ").lower().replace(
        "melanom n", "Melanom n"
    )


def test_every_word_of_the_nodes_data_has_a_translation() -> None:
    known = {*terms.DIAGNOSES, *terms.SITES, *terms.OTHERS}
    names = {name.replace("_", " ") for name in _SPELLINGS}
    titles = {each.title for each in METHODS.values()} - {"Score-CAM", "Grad-CAM", "Grad-CAM++", "CAM"}
    codes = {*quality.TEXTS, "profile", "filing"}
    assert {*names, *titles, *codes, *REFERENCES, *CONFIRMATIONS, "female", "male"} <= known
    with speaking(language("de")):
        assert terms.term("seborrheic_keratosis") == "seborrhoische Keratose"
        assert terms.term("class_of_their_own") == "class of their own"
        assert terms.term("") == ""


def test_every_refusal_is_told_by_its_code() -> None:
    assert set(REFUSALS) == set(_STATUSES)
    assert tell_refusal("busy", "The node is busy. Wait 5 s.") == "The node is busy. Wait 5 s."
    with speaking(language("fr")):
        assert (
            tell_refusal("busy", "The node is busy. Wait 5 s.")
            == "Le nœud est occupé. Réessayez dans un instant."
        )


def test_a_browsers_first_language_that_the_page_speaks_is_spoken() -> None:
    for chosen, accepted, spoken in (
        ("", "", "en"), ("", "de-AT,de;q=0.9,en;q=0.8", "de"), ("", "pt,it;q=0.5,fr;q=0.7", "fr"),
        ("", "es-MX", "es"), ("", "pl", "en"), ("", "de;q=0,en", "en"), ("", "de;q=x, ;;, *", "en"),
        ("it", "de", "it"), ("../../x", "de", "de"), ("", "EN-us", "en"),
    ):  # fmt: skip
        assert choose_language(chosen, accepted).code == spoken, (chosen, accepted)

"""The page in the reader's language: chosen, remembered, and whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from gettext import NullTranslations
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest
from babel import Locale

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis, MissRate, ModelUsed
from dermafed.client.clinic.http.lesion_history import lesion_history
from dermafed.client.clinic.http.model_facts import AtClinic, ModelFacts, ShownMethod, TrainedOn
from dermafed.client.clinic.http.page import STATIC, _render
from dermafed.client.clinic.http.worklist import Row, make_worklist
from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.quality import TEXTS, Caution
from dermafed.client.clinic.language.languages import NAMES, Language, language
from dermafed.client.clinic.language.speech import speaking
from dermafed.client.clinic.store.impressions import Impression
from dermafed.client.clinic.store.opinions import CONFIRMATIONS, OTHER, Opinion, View
from dermafed.shared.metrics.decision.promise import Promise
from tests.client.clinic.http.http_node import Node, png
from tests.client.clinic.language.test_catalogues import catalogue
from tests.client.clinic.lesions import FOUND, NOT_FOUND, outlined, photograph
from tests.shared.metrics.calibration.sample_calibration import fitted

SPOKEN = {
    "en": "Skip to the content",
    "de": "Zum Inhalt springen",
    "fr": "Aller au contenu",
    "es": "Ir al contenido",
    "it": "Vai al contenuto",
}


def test_the_browsers_language_is_spoken_until_another_is_chosen_and_that_is_remembered(node: Node) -> None:
    visitor = node.client(Origin=node.url, **{"Accept-Language": "fr-CH, en;q=0.5"})
    page = visitor.get("/sign-in").text
    assert '<html lang="fr">' in page
    assert SPOKEN["fr"] in page
    for code, said in SPOKEN.items():
        answer = visitor.post("/language", data={"language": code, "back": "/sign-in?next=1"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=1")
        assert {"HttpOnly", "Secure", "SameSite=strict"} <= set(answer.headers["set-cookie"].split("; "))
        page = visitor.get("/sign-in").text
        assert f'<html lang="{code}">' in page
        assert said in page
        assert (
            f'value="{code}" lang="{code}" aria-label="{NAMES[code]}" title="{NAMES[code]}" aria-current'
            in page
        )


def test_a_choice_leads_back_to_this_page_only_and_to_a_language_that_there_is(node: Node) -> None:
    visitor = node.client(Origin=node.url)
    for back in ("//evil.example", "https://evil.example", "/\\evil.example", ""):
        assert visitor.post("/language", data={"language": "de", "back": back}).headers["location"] == "/"
    assert visitor.post("/language", data={"language": "xx", "back": "/"}).status_code == 400
    foreign = node.client(Origin="https://evil.example")
    assert foreign.post("/language", data={"language": "de"}).status_code == 403


def test_errors_are_told_in_the_readers_language_and_the_api_speaks_english(node: Node) -> None:
    clinician = node.clinician()
    clinician.headers["Accept-Language"] = "de"
    page = clinician.get("/diagnoses/none", headers={"Accept": "text/html"})
    assert (page.status_code, "Zu dieser Kennung oder Nummer gibt es nichts." in page.text) == (404, True)
    made = clinician.post("/v1/diagnoses", files={"image": png()}).json()
    assert made["intended_use"] == "Research use only; not a medical device."
    refused = clinician.post("/v1/diagnoses", files={"image": b""}).json()
    assert refused["error"] == "The image is empty"
    shown = clinician.get(f"/diagnoses/{made['id']}").text
    assert "Melanom nicht ausgeschlossen: es gibt keine Alarmschwelle" in shown
    assert "Das Bild ist leer. Senden Sie eine JPEG- oder PNG-Datei." in shown, "for the scripts"
    bundle = clinician.get(f"/v1/diagnoses/{made['id']}/fhir").text
    assert "Research use only" in bundle
    assert "Forschung" not in bundle


# A page whose every word stands in brackets: what does not is in no catalogue.
# Names and free text of the data are in Greek: a Latin letter outside of brackets is a word of the page.
DATE = "2026-03-04T05:06:07.089+00:00"
WHO = "Άννα"
ID = "0123456789" * 3 + "01"
NAME = ModelUsed("Άλπεις", 3, "0" * 64)
PLAIN = Diagnosis(
    ID, DATE, "κάμερα", None, "0" * 64, Clinical(54, "female", "back"),
    {"melanoma": 0.03, "nevus": 0.9, "seborrheic_keratosis": 0.07}, "nevus", None, None, None, (), NAME, 0.1,
)  # fmt: skip
RATE = MissRate(0.05, 0.01, 0.14, 60, Promise(60, 2, 0.2).sentence)
ALERTED = replace(
    PLAIN, alert=True, alert_threshold=0.02, miss_rate=RATE, lesion=FOUND, unsure=True, outside=False,
    cautions=tuple(Caution(*each) for each in TEXTS.items()), clinical=Clinical(1, "male", None),
    uploaded=True,
)  # fmt: skip
BELOW = replace(
    ALERTED,
    alert=False,
    alert_threshold=0.2,
    unsure=False,
    cautions=(),
    lesion=outlined(photograph(at=(0, 0.5), radius=120)),
)
FEW = replace(BELOW, alert_score=0.01, alert_note="τίποτα", lesion=NOT_FOUND)
ODD = replace(PLAIN, probabilities={"nevus": 1.0}, outside=True, clinical=Clinical(), lesion=FOUND)
OPINIONS = (
    Opinion(WHO, True, time=DATE),
    Opinion(WHO, True, confirmed_by="consensus", time=DATE, standing="replaced"),
    Opinion("Βίκτωρ", False, "other", "λόγος", "histopathology", DATE, "withdrawn"),
    Opinion("Γιώργος", False, "melanoma", time=DATE),
)


def facts(**values: Any) -> ModelFacts:
    basis = ModelFacts(
        NAME, tuple(PLAIN.probabilities), "0", 224, TrainedOn(("Γκρατς", "Λιντς"), 1234), "", True, None, (),
        (ShownMethod("scorecam"),), True,
    )  # fmt: skip
    return replace(basis, **values)


@dataclass(frozen=True)
class Bracketed(NullTranslations):  # type: ignore[misc]
    """Says every message in brackets, and notes it."""

    said: set[str] = field(default_factory=set)

    def gettext(self, message: str) -> str:
        self.said.add(message)
        return f"⟦{message}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        self.said.add(msgid1)
        return f"⟦{msgid1 if n == 1 else msgid2}⟧"


def pages() -> Iterator[str]:
    """Every template, in all its states."""
    caller, today = SimpleNamespace(name=WHO), date(2026, 3, 4)

    def render(template: str, **values: Any) -> str:
        return bytes(_render(template, **{"synthetic": False, "caller": caller} | values).body).decode()

    yield render("sign_in.html", caller=None, error="", synthetic=True)
    yield render("sign_in.html", caller=None, error="This token is not a clinician's, or it was revoked.")
    yield render("error.html", says="")
    for lesion in (None, "L-0042"):
        yield render("new.html", lesion=lesion)
    yield render("search.html", asked="0", found=[], shortest=4)
    yield render("search.html", asked="0", found=[ID], shortest=4)
    calibrated = fitted()
    methods = (ShownMethod("evidence"), ShownMethod("scorecam"))
    clinics = (AtClinic("Γκρατς", True, 20, 0.5), AtClinic("Λιντς", False, 9, None))
    newer = replace(NAME, round=4, sha256="1" * 64)
    known = facts(calibration=calibrated, clinics=clinics, methods=methods, used=newer)
    own: Any = SimpleNamespace(bins=calibrated.sums.after)
    ways = (replace(calibrated, clinics=2), replace(calibrated, own=own))
    for of in (facts(), known, *(replace(known, calibration=way) for way in ways), *trained()):
        yield render("model.html", facts=of)
    for made in (PLAIN, ALERTED, BELOW, FEW, ODD):
        for of in (facts(), known):
            impressions = [Impression(WHO, label) for label in (None, OTHER, "nevus")]
            yield render("impression.html", diagnosis=made, facts=of, other=OTHER)
            yield render(
                "diagnosis.html", diagnosis=made, facts=of, other=OTHER, opinions=OPINIONS,
                views=[View(WHO, DATE)], impressions=impressions, confirmations=CONFIRMATIONS,
                lesion="L-0042", kinds=("sr", "sc", "seg"), earlier=of is known,
            )  # fmt: skip
    made = [replace(each, id=f"{place}" * 32) for place, each in enumerate((PLAIN, ALERTED, BELOW, FEW, ODD))]
    opinions = {each.id: OPINIONS[:1] for each in made[:3]}
    for found, hidden in ((made, ()), (made, [made[0].id]), ([], ())):
        work = make_worklist(found, opinions, "all", hidden, {made[0].id: "L-0042"})
        for damaged, shown in (([], work), ([ID], replace(work, shown="alert", rows=()))):
            yield render(
                "day.html",
                day=today,
                list=shown,
                damaged=damaged,
                before=today,
                after=today,
                today=date(2027, 1, 1),
            )
    later = [
        replace(each, time=f"2026-03-{day:02}T05:06:07.089+00:00", width_mm=9.0)
        for day, each in enumerate(made, 4)
    ]
    rows = [
        Row(each, OPINIONS[:1] if each.alert else (), place == 1, "L-0042")
        for place, each in enumerate(later)
    ]
    other = replace(later[-1], model=replace(NAME, round=4), time="2026-05-04T05:06:07.089+00:00")
    for some in ([], rows[:1], rows, [*rows, Row(other, ())], rows[:3]):
        yield render("lesion.html", lesion="L-0042", history=lesion_history(some))


def trained() -> list[ModelFacts]:
    ways = ((), None, True), (("Γκρατς",), None, True), (("Γκρατς",), 2, False)
    return [facts(trained_on=TrainedOn(*way), note="σημείωση") for way in ways]


class Words(HTMLParser):
    """The words of a page that stand outside of brackets: text, and attributes that people read or hear."""

    READ = ("alt", "title", "aria-label", "placeholder", "data-waiting", "data-failed", "data-gone")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.depth, self.outside = 0, list[str]()
        self.feed(page)
        assert self.depth == 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("name") != "language":  # a button with a language's own name
            for name in self.READ:
                self.outside += re.findall(r"[A-Za-z]+", re.sub(r"⟦.*?⟧", "", given.get(name) or ""))

    def handle_data(self, data: str) -> None:
        for part in re.split(r"([⟦⟧])", data):
            self.depth += {"⟦": 1, "⟧": -1}.get(part, 0)
            if self.depth == 0:
                self.outside += re.findall(r"[A-Za-z]+", part)


def test_every_word_of_every_page_comes_from_the_catalogues() -> None:
    translations = Bracketed()
    spoken = Language("xx", Locale("zh"), translations, {"a": ["b"]})
    assert any("female" in page for page in pages())  # in English: no word of it may stay for later readers
    with speaking(spoken):
        found = {word for page in pages() for word in Words(page).outside}
    names = {"DermaFed", "CSV", "FHIR", "mm", "L", *(code.upper() for code in NAMES)}
    assert found - names == set()
    said_by_templates = {
        each.id if isinstance(each.id, str) else each.id[0]
        for each in catalogue("de")
        if any(path.endswith(".html") for path, _ in each.locations)
    }
    assert said_by_templates - translations.said == set(), "a state of a page that this test does not show"


@pytest.mark.parametrize("code", SPOKEN)
def test_every_page_can_be_told_and_is_light(code: str) -> None:
    own = sum(path.stat().st_size for path in STATIC.iterdir())
    with speaking(language(code)):
        for page in pages():
            assert own + len(page.encode()) <= 150_000, (
                "without pictures, and as it is served: not compressed"
            )
            assert f'<html lang="{code}">' in page
            assert not re.search(r"%\(\w+\)s|%%", re.sub(r"data-words='.*?'", "", page))

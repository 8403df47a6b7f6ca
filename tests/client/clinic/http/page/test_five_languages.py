"""The answer page in five languages, on a desk and on a telephone."""

from __future__ import annotations

import pytest

from tests.client.clinic.http.page.conftest import Screen
from tests.client.clinic.http.page.test_accessible import violations

pytestmark = pytest.mark.journey

HEADLINES = {
    "de": "Melanom nicht ausgeschlossen: es gibt keine Alarmschwelle",
    "fr": "Mélanome non exclu : il n’y a pas de seuil d’alerte",
    "es": "Melanoma no descartado: no hay umbral de alerta",
    "it": "Melanoma non escluso: non c’è una soglia di allerta",
    "en": "Melanoma not excluded: there is no alert threshold",
}
AGREEMENTS = {
    "de": ("Speichern", "anna stimmt zu", "Ihre Beurteilung ist gespeichert."),
    "fr": ("Enregistrer", "anna est d’accord", "Votre avis est enregistré."),
    "es": ("Guardar", "anna está de acuerdo", "Su opinión está guardada."),
    "it": ("Salva", "anna è d’accordo", "Il Suo parere è salvato."),
    "en": ("Save", "anna agrees", "Your opinion is saved."),
}


def test_the_answer_is_read_judged_and_remembered_in_each_language(screen: Screen) -> None:
    page = screen.page
    screen.sign_in()
    screen.diagnose()
    address = page.url
    for code, headline in HEADLINES.items():
        page.locator(f".languages [value={code}]").click()
        page.locator(f"html[lang={code}]").wait_for()
        assert page.url == address, "the choice leads back to the page where it was made"
        assert page.locator("#melanoma b").inner_text().replace("\u00a0", " ") == headline
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), code
        screen.ready("main")
        page.locator("#news", has_text=headline.split(":")[0].split("\u00a0")[0].strip()).wait_for(
            state="attached"
        )
        save, agrees, saved = AGREEMENTS[code]
        page.locator("input[name=agrees][value=yes]").check()
        page.get_by_role("button", name=save, exact=True).click()
        page.locator("#news", has_text=saved).wait_for(state="attached")
        told = page.locator("#opinions li").last.inner_text()
        page.reload()
        assert agrees in told
        written = page.locator("#opinions li").last.inner_text()
        assert written.split() == told.split(), "the script and the node say the same"
        if code in ("de", "fr"):
            assert violations(page) == []
    screen.open("/day")
    assert page.get_by_role("link", name="Worklist").is_visible(), "English was chosen last"

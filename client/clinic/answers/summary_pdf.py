"""A diagnosis on one page of paper, as a PDF: pictures, melanoma first, what the model cannot do."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import numpy as np
from fpdf import FPDF
from numpy.typing import NDArray
from PIL import Image

from dermafed.client.clinic.answers.codes import UNVERIFIED
from dermafed.client.clinic.answers.melanoma_line import UNRELIABLE, melanoma_line
from dermafed.client.clinic.answers.percent import percent
from dermafed.client.clinic.diagnosis.diagnosis import USE, Diagnosis
from dermafed.client.clinic.language.speech import N_, clock, current, day, gettext, ngettext
from dermafed.client.clinic.language.stored import retell
from dermafed.client.clinic.language.terms import term

LIMITS = (
    N_("It sees one image. It knows no history, no other lesion, and cannot touch the skin."),
    N_("It always names one of its classes, also for a lesion of another class."),
    N_("No warning does not mean that the diagnosis is right."),
)
LEFT_OUT = N_("The percentages are left out: the model cannot judge this image.")

# It logs the letters that a font lacks, which may be of the body site.
logging.getLogger("fpdf").setLevel(logging.CRITICAL)

_FONT = "DejaVu"  # comes with Matplotlib, and has the letters of all of Europe
_MARGIN, _GAP, _LINE = 15.0, 4.0, 4.6  # mm
_TEXT, _SMALL, _HEADLINE, _LARGE = 9.0, 8.0, 11.5, 13.0  # points
_LEAST = 35.0  # mm of a picture's height
_NAMES = 32.0  # mm of the column of names
_WARN, _ALERT, _BARS = (253, 243, 225), (253, 236, 234), (126, 155, 171)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture of the summary.

    Attributes:
        pixels: RGB uint8 (H, W, 3).
        says: what it shows, beneath it.
    """

    pixels: NDArray[np.uint8]
    says: str


def summary_pdf(diagnosis: Diagnosis, lesion: str | None, pictures: Sequence[Picture]) -> bytes:
    """A diagnosis on one page, A4.

    Args:
        diagnosis: of the model.
        lesion: the number of the lesion, if the image was assigned to one.
        pictures: one or two.
    """
    page = _Summary(diagnosis)
    page.draw_heading()
    page.draw_doubts()
    page.draw_melanoma()
    page.draw_notes()
    page.draw_probabilities()
    page.draw_facts(lesion)
    page.draw_pictures(pictures, page.h - _MARGIN - page.height_of_limits())
    page.draw_limits()
    return bytes(page.output())


def _years(age: int | None) -> str:
    return "" if age is None else ngettext("%(count)s year", "%(count)s years", age, count=age)


class _Summary(FPDF):
    """The page while it is drawn, from the top down."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        super().__init__(format="A4")
        self.diagnosis = diagnosis
        fonts = Path(mpl.get_data_path()) / "fonts" / "ttf"
        self.add_font(_FONT, "", fonts / "DejaVuSans.ttf")
        self.add_font(_FONT, "B", fonts / "DejaVuSans-Bold.ttf")
        self.set_margins(_MARGIN, _MARGIN)
        self.set_auto_page_break(False)
        self.set_lang(current().code)
        self.set_title(gettext("Diagnosis by a model, %(id)s", id=diagnosis.id))
        self.set_creation_date(datetime.fromisoformat(diagnosis.time))
        self.add_page()

    def draw_heading(self) -> None:
        """The title, and above all that it is for research."""
        self._say(gettext(USE), _TEXT, "B", border=1, align="C")
        self._say(gettext("Diagnosis by the model"), _LARGE, "B")

    def draw_facts(self, lesion: str | None) -> None:
        """What image it is of, and which model made it; nothing that names a person."""
        made, clinical = self.diagnosis, self.diagnosis.clinical
        person = (term(clinical.sex or ""), _years(clinical.age), term(clinical.site or ""))
        time = datetime.fromisoformat(made.time).astimezone()
        rows = {
            gettext("Time"): f"{day(time)}, {clock(time)}",
            gettext("Id"): made.id,
            gettext("Lesion"): lesion or gettext("no number"),
            gettext("Person"): ", ".join(filter(None, person)) or gettext("unknown"),
            gettext("Uploaded by") if made.uploaded else gettext("Sent by"): made.device,
            gettext("Model"): gettext(
                "%(name)s, round %(round)s, weights %(weights)s",
                name=made.model.name, round=made.model.round, weights=made.model.sha256[:16],
            ),
        }  # fmt: skip
        for name, value in rows.items():
            self.set_font(_FONT, "", _TEXT)
            self.cell(_NAMES, _LINE, name)
            self.multi_cell(0, _LINE, value, new_x="LMARGIN", new_y="NEXT")
        self.ln(_GAP / 2)

    def draw_doubts(self) -> None:
        """Why the model cannot judge the image: that comes before all."""
        made, doubts = self.diagnosis, list[str]()
        if made.no_lesion and made.lesion is not None:
            doubts.append(gettext("No lesion found: %(reason)s.", reason=retell(made.lesion.reason or "")))
        if made.outside:
            doubts.append(gettext("This image may be unlike the images that the model was trained on."))
        if doubts:
            self._box("", "\n".join(doubts), _WARN)

    def draw_melanoma(self) -> None:
        """What the page says first: the alert, and how many melanomas it missed."""
        line = melanoma_line(self.diagnosis)
        says = gettext(UNRELIABLE) if self.diagnosis.unreliable else f"{line.figures} {line.proof}".strip()
        self._box(line.headline, says, _ALERT if line.state == "alert" else None)

    def draw_notes(self) -> None:
        """Whether the model is sure, and what the image has that may mislead it."""
        notes = (
            [gettext("Undecided: no class is probable enough to rely on.")] if self.diagnosis.unsure else []
        )
        notes += [retell(each.text) for each in self.diagnosis.cautions]
        if notes:
            self._box("", "\n".join(notes), _WARN)

    def draw_probabilities(self) -> None:
        """Of all classes, the highest first; not where the model cannot judge the image."""
        if self.diagnosis.unreliable:
            self._say(gettext(LEFT_OUT), _TEXT)
            return
        ranked = sorted(self.diagnosis.probabilities.items(), key=lambda each: -each[1])
        widest = self.epw - 2 * _NAMES
        for name, probability in ranked:
            self.set_font(_FONT, "", _TEXT)
            self.cell(1.5 * _NAMES, _LINE, term(name))
            self.cell(0.5 * _NAMES, _LINE, percent(probability))
            self.set_fill_color(*_BARS)
            self.rect(self.x, self.y + 1, max(0.2, widest * probability), _LINE - 2, "F")
            self.ln(_LINE)
        self.ln(_GAP / 2)

    def draw_pictures(self, pictures: Sequence[Picture], until: float) -> None:
        """Side by side, as large as the page has room, each with what it shows."""
        width = (self.epw - _GAP) / 2
        words = max(self._height_of(each.says, _SMALL, width) for each in pictures)
        room = max(_LEAST, until - self.y - words - 2 * _GAP)
        top, lowest = self.y, 0.0
        for place, each in enumerate(pictures):
            left, (height, across) = _MARGIN + place * (width + _GAP), each.pixels.shape[:2]
            scale = min(width / across, room / height)
            file = io.BytesIO()
            Image.fromarray(each.pixels).save(file, "JPEG", quality=90)
            self.image(file, left, top, scale * across, scale * height, alt_text=each.says)
            self.set_font(_FONT, "", _SMALL)
            self.set_xy(left, top + scale * height + 1)
            self.multi_cell(width, _LINE * _SMALL / _TEXT, each.says, align="L")
            lowest = max(lowest, self.y + _LINE)
        self.set_xy(_MARGIN, lowest)

    def draw_limits(self) -> None:
        """What the model cannot do, at the foot of the page."""
        self.set_y(self.h - _MARGIN - self.height_of_limits())
        self._say(self._limits(), _SMALL)

    def height_of_limits(self) -> float:
        """In millimetres."""
        return self._height_of(self._limits(), _SMALL, self.epw)

    def _limits(self) -> str:
        limits = (f"· {gettext(each)}" for each in LIMITS)
        return "\n".join((gettext("What the model cannot do"), *limits, gettext(UNVERIFIED)))

    def _say(self, text: str, points: float, style: Literal["", "B"] = "", **more: object) -> None:
        self.set_font(_FONT, style, points)
        height = _LINE * points / _TEXT
        self.multi_cell(0, height, text, new_x="LMARGIN", new_y="NEXT", **{"align": "L", **more})  # type: ignore[arg-type]
        self.ln(_GAP / 2)

    def _box(self, headline: str, text: str, colour: tuple[int, int, int] | None) -> None:
        self.set_fill_color(*(colour or (255, 255, 255)))
        parts = (("B", headline, "LTR", (1, 2, 0, 2)), ("", text, "LBR", (0, 2, 1, 2)))
        for style, part, border, padding in parts if headline else (("", text, "LTRB", (1, 2, 1, 2)),):
            points = _HEADLINE if style else _TEXT
            self.set_font(_FONT, style, points)
            self.multi_cell(
                0, _LINE * points / _TEXT, part, border=border, align="L", fill=True, padding=padding,
                new_x="LMARGIN", new_y="NEXT",
            )  # fmt: skip
        self.ln(_GAP / 2)

    def _height_of(self, text: str, points: float, width: float) -> float:
        self.set_font(_FONT, "", points)
        height = _LINE * points / _TEXT
        found = self.multi_cell(width, height, text, align="L", dry_run=True, output="HEIGHT")
        return float(found)  # type: ignore[arg-type]

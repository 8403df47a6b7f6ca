"""Names of diagnoses in dermoscopy data sets, and which of them mean the same."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dermafed.shared.lesions.archive_diagnoses import ARCHIVE_DIAGNOSES
from dermafed.shared.lesions.clinical_values import composed, is_letter

# Canonical name: other spellings, as HAM10000, the ISIC challenges 2017-2024, the ISIC archive, BCN20000,
# PAD-UFES-20 and Derm7pt write them.
_SPELLINGS = {
    "melanoma": (
        "mel, melanoma nos, malignant melanoma, melanoma in situ, melanoma invasive, invasive melanoma, "
        "lentigo maligna, lentigo maligna melanoma, superficial spreading melanoma, nodular melanoma, "
        "acral lentiginous melanoma, amelanotic melanoma, melanoma less than 0 76 mm, "
        "melanoma 0 76 to 1 5 mm, melanoma more than 1 5 mm, "
        "malignant melanocytic proliferations melanoma"
    ),
    "nevus": (
        "nv, nevi, naevus, naevi, nevus nos, benign nevus, common nevus, melanocytic nevus, "
        "melanocytic nevi, melanocytic naevus, melanocytic naevi, atypical nevus, dysplastic nevus, "
        "clark nevus, blue nevus, spitz nevus, reed nevus, congenital nevus, halo nevus, "
        "recurrent nevus, combined nevus, nev, dermal nevus, reed or spitz nevus, "
        "benign melanocytic proliferations, melanocytic nevus nos, nevus spilus"
    ),
    "seborrheic_keratosis": "sk, sek, seborrhoeic keratosis, seborrheic keratoses",
    "benign_keratosis": (
        "bkl, benign keratoses, benign keratosis like lesion, benign keratosis like lesions, "
        "pigmented benign keratosis"
    ),
    "solar_lentigo": "solar lentigines, actinic lentigo",
    "lichen_planus_like_keratosis": "lplk, lichenoid keratosis, lichen planus like keratoses",
    "basal_cell_carcinoma": (
        "bcc, basal cell carcinoma nos, basal cell carcinoma with adnexal differentiation, "
        "basal cell carcinoma with sarcomatoid differentiation, "
        "malignant adnexal epithelial proliferations follicular"
    ),
    "actinic_keratosis": (
        "akiec, ak, ack, actinic keratoses, solar or actinic keratosis, bowen s disease, bowen disease, bod, "
        "intraepithelial carcinoma, actinic keratoses and intraepithelial carcinoma, "
        "actinic keratosis intraepithelial carcinoma"
    ),
    "dermatofibroma": "df, dermatofibromas",
    "vascular_lesion": (
        "vasc, vascular, vascular lesions, angioma, hemangioma, haemangioma, angiokeratoma, "
        "pyogenic granuloma, lymphangioma, benign soft tissue proliferations vascular"
    ),
    "squamous_cell_carcinoma": (
        "scc, sccka, squamous cell carcinoma nos, squamous cell carcinoma in situ, "
        "squamous cell carcinoma invasive, keratoacanthoma"
    ),
    "lentigo": "lentigo nos, lentigo simplex, ink spot lentigo",
    "cafe_au_lait_macule": "",
    "atypical_melanocytic_proliferation": (
        "atypical intraepithelial melanocytic proliferation, aimp, atypical melanocytic neoplasm, "
        "indeterminate melanocytic proliferations"
    ),
    "angiofibroma": "fibrous papule, angiofibroma or fibrous papule",
    "acrochordon": "skin tag, fibroepithelial polyp",
    "verruca": "wart",
    "neurofibroma": "",
    "scar": "",
    "melanoma_metastasis": "",
    "melanosis": "mucosal melanotic macule, flat melanotic pigmentations not melanocytic nevus",
    "clear_cell_acanthoma": "",
    "sebaceous_hyperplasia": "",
    "epidermal_nevus": "",
    "hidrocystoma": "",
    "trichilemmoma": "",
    "trichoblastoma": "",
    "porokeratosis": "",
    "mastocytosis": "",
    "molluscum": "molluscum contagiosum",
    "supernumerary_nipple": "",
    "merkel_cell_carcinoma": "",
    "kaposi_sarcoma": "",
    "atypical_fibroxanthoma": "",
    "other": (
        "unk, ben oth, mal oth, inf, miscellaneous, benign other, malignant other, "
        "inflammatory or infectious diseases, benign epidermal proliferations, "
        "malignant epidermal proliferations, indeterminate epidermal proliferations, "
        "benign soft tissue proliferations fibro histiocytic, benign soft tissue proliferations neural, "
        "benign adnexal epithelial proliferations follicular, exogenous"
    ),
    "benign": "",
    "malignant": "",
    "indeterminate": "",
}

DIAGNOSES = tuple(_SPELLINGS)
"""The canonical names of common diagnoses."""

PARENTS = {
    "benign_keratosis": ("seborrheic_keratosis",),
    "seborrheic_keratosis": ("benign_keratosis",),
    "solar_lentigo": ("benign_keratosis",),
    "lichen_planus_like_keratosis": ("benign_keratosis",),
}
"""The classes of a diagnosis where a model has no class of its name.

HAM10000's benign keratosis (bkl) joins seborrheic keratoses, solar lentigines and lichen-planus-like
keratoses (Tschandl et al. 2018), so it takes all three; the reverse is an approximation, but the only
one that maps HAM10000 to the three classes of ISIC 2017.
"""


def normalise(label: str) -> str:
    """Write a label in lower case, other characters than letters and digits as single underscores.

    The form is composed, and a combining mark is part of its letter, so scripts that need marks keep them.
    """
    text = composed(label.casefold())
    if not text.isascii():
        text = "".join(letter if letter.isalnum() or is_letter(letter) else " " for letter in text)
        return "_".join(text.split())
    return re.sub(r"[\W_]+", "_", text).strip("_")


_CANONICAL = {
    normalise(spelling): name
    for name, spellings in _SPELLINGS.items()
    for spelling in (name, *spellings.split(","))
    if spelling.strip()
}


_ARCHIVE = {normalise(name): normalise(name) for name in ARCHIVE_DIAGNOSES}
_MALIGNANT = ("melanoma", "carcinoma")


def canonical(label: str) -> str:
    """Return the canonical name of a diagnosis; an unknown label is only normalised."""
    return _known(label) or normalise(label)


def melanoma_class(classes: Iterable[str]) -> str | None:
    """The class of melanoma, by whatever name it has; ``None`` where there is none."""
    return next((name for name in classes if canonical(name) == "melanoma"), None)


def is_known(label: str) -> bool:
    """Return whether a label is a known diagnosis."""
    return _known(label) is not None


def is_spelled_out(label: str) -> bool:
    """Whether a label is a usual spelling of a diagnosis, without qualifiers: a column may be named so."""
    return normalise(label) in _CANONICAL


def _known(label: str) -> str | None:
    """The canonical name of a known diagnosis; qualifiers may follow it, as in the ISIC archive's dictionary.

    So ``Nevus, Spitz`` and ``Benign::Benign melanocytic proliferations::Nevus`` are nevi.
    """
    head, *qualifiers = label.rpartition("::")[2].split(",")
    for count in range(len(qualifiers), -1, -1):
        word = normalise(",".join((head, *qualifiers[:count])))
        name = _CANONICAL.get(word) or _ARCHIVE.get(word)
        if name is not None:
            return name if all(_qualifies(text, word) for text in qualifiers[count:]) else None
    return None


def _qualifies(text: str, diagnosis: str) -> bool:
    """Whether a text only qualifies a diagnosis and names no second one, as in ``Nevus, melanoma``."""
    other = _CANONICAL.get(normalise(text), "other") != "other"
    return not other and all(word not in normalise(text) or word in diagnosis for word in _MALIGNANT)

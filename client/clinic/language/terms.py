"""Words that are data: names of diagnoses, sites, colours and the like, which the node keeps in English."""

from __future__ import annotations

from dermafed.client.clinic.language.speech import N_, find_message

DIAGNOSES = (
    N_("melanoma"), N_("nevus"), N_("seborrheic keratosis"), N_("benign keratosis"), N_("solar lentigo"),
    N_("lichen planus like keratosis"), N_("basal cell carcinoma"), N_("actinic keratosis"),
    N_("dermatofibroma"), N_("vascular lesion"), N_("squamous cell carcinoma"), N_("lentigo"),
    N_("cafe au lait macule"), N_("atypical melanocytic proliferation"), N_("angiofibroma"),
    N_("acrochordon"), N_("verruca"), N_("neurofibroma"), N_("scar"), N_("melanoma metastasis"),
    N_("melanosis"), N_("clear cell acanthoma"), N_("sebaceous hyperplasia"), N_("epidermal nevus"),
    N_("hidrocystoma"), N_("trichilemmoma"), N_("trichoblastoma"), N_("porokeratosis"), N_("mastocytosis"),
    N_("molluscum"), N_("supernumerary nipple"), N_("merkel cell carcinoma"), N_("kaposi sarcoma"),
    N_("atypical fibroxanthoma"), N_("other"), N_("benign"), N_("malignant"), N_("indeterminate"),
)  # fmt: skip
SITES = (
    N_("back"), N_("chest"), N_("abdomen"), N_("face"), N_("scalp"), N_("neck"), N_("upper extremity"),
    N_("lower extremity"), N_("hand"), N_("foot"),
)  # fmt: skip
OTHERS = (
    # of a person
    N_("female"), N_("male"),
    # what confirms a diagnosis, and whether an opinion counts
    N_("histopathology"), N_("follow-up"), N_("consensus"), N_("current"), N_("replaced"), N_("withdrawn"),
    # what may mislead the model in an image
    N_("small"), N_("blur"), N_("dark"), N_("bright"), N_("gray"), N_("ink"), N_("ruler"), N_("hair"),
    N_("profile"), N_("filing"),
    # colours of a lesion
    N_("white"), N_("red"), N_("light brown"), N_("dark brown"), N_("blue-grey"), N_("black"),
    # methods of explanation; the others are called by their names
    N_("Additive evidence"), N_("Score-CAM, exact"), N_("Gradient-weighted CAM"),
)  # fmt: skip


def term(name: str) -> str:
    """A word in the reader's language; one that no catalogue has stays as it is, with spaces."""
    return find_message(name.replace("_", " "))

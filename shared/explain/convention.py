"""What "Score-CAM" means: everything in which papers and public implementations differ, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Basis = Literal["masks", "signed", "rectified"]
Score = Literal["logit", "probability"]
Fill = Literal["black", "mean", "blurred"]


@dataclass(frozen=True, slots=True)
class Convention:
    """One definition of Score-CAM (Wang et al. 2020, arXiv:1910.01279, definitions 3 and 4).

    With A_k the activation map of channel k, brought to the image's size, and H_k its min-max
    normalisation, channel k scores S_k = f(X * H_k + B * (1 - H_k)), where f is the class's score, X the
    image and B the fill.

    Attributes:
        basis: what the weights a_k are summed over: ``"masks"`` sum a_k H_k; ``"signed"`` sum a_k A_k;
            ``"rectified"`` ReLU(sum a_k A_k), as in the paper.
        score: the class's ``"logit"`` or ``"probability"``.
        fill: B, what the masked-out pixels become: ``"black"``; ImageNet's ``"mean"`` colour, which a network
            that standardises its input sees as zero; or the ``"blurred"`` image.
        increase: whether the score of B alone is subtracted from each S_k; no effect under `softmax`.
        softmax: whether a = softmax(S) over the channels, or a = S.
    """

    basis: Basis
    score: Score
    fill: Fill = "black"
    increase: bool = True
    softmax: bool = False


CONVENTIONS = {
    # The paper's formula, taken literally.
    "paper": Convention("rectified", "logit", "black", increase=True, softmax=True),
    # The authors' own program: bare probabilities as weights, masks upon the standardised image.
    "authors": Convention("rectified", "probability", "mean", increase=False, softmax=False),
    # Among the best of twenty by insertion less deletion: docs/explanations.md.
    "default": Convention("signed", "logit", "mean", increase=True, softmax=True),
}
DEFAULT = CONVENTIONS["default"]

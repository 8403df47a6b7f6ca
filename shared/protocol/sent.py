"""What a clinic sends, in words, for the person who approves it."""

from __future__ import annotations

from dermafed.shared.protocol.privacy_settings import PrivacySettings
from dermafed.shared.protocol.robust_settings import RobustSettings

SENT = (
    "trained weights, with the weight they count and the training loss",
    "confusion matrix and score histograms of the validation images",
    "number of training images of each class, of validation images, and seconds of work",
    "explanation quality: counts and sums over images, where the run asks for it",
    "calibration: summed losses and counts by confidence of the validation images, where the run asks for it",
    "with it: counts of classes, and the loss with its slopes and curvatures by scale and offsets of classes",
    "with it: the number of validation lesions in each thousandth of the probability of melanoma",
    "for the exact head, where it is the strategy: sums of the training images' features and their products",
    "where the plan trains the last layer anew: these sums, and the loss of these images and its slopes",
    "for a lesion finder, where the plan asks for it: of the cells of the training images with lesion masks, "
    "sums of their features, of the features' products, and of how much of each cell is lesion",
    "for an audit of shortcuts, where the plan asks for it: with ink, hair and other artefacts drawn on test "
    "images and without, the number of lesions by answer and by score, and sums of the score's changes",
    "versions of packages, and of an error no more than its type",
)
"""Everything that a clinic sends in a plan without more privacy; part of every offer, and so of its hash.
The records are listed in :mod:`dermafed.shared.protocol.messages` and in
:mod:`dermafed.shared.protocol.agreement`."""

SENT_IN_SUMS = (
    "in secure sums over clinics only: changes of the weights, each times the number of training images, "
    "this number, and the training loss",
    "in secure sums over clinics only: confusion matrix, score histograms, number and loss of the "
    "validation images",
    "in one secure sum, before the first round: the number of training images of each class",
    "by itself: public keys, sealed shares of the masks' keys, and signatures of who is in a sum",
    "by itself: versions of packages, of an error no more than its type, and that it replies, and when",
    "what can be told from two sums, of which one has this clinic and the other not: its number of images "
    "of each class; of nearly the same model, about its part; and from the time of a reply, about its images",
)
"""Everything that a clinic sends where the plan has secure sums."""

SENT_IN_GROUPS = (
    "in secure sums over small groups of clinics, which they draw anew in each round: changes of the "
    "weights, and the training loss; every clinic has the same weight",
    *SENT_IN_SUMS[1:],
    "what can be told from the sums of groups: of each round, the mean change in each group; and from many "
    "rounds of nearly the same model, by their overlaps, more of this clinic's part than from sums over all",
)
"""Everything that a clinic sends where the plan has secure sums and a robust rule."""

PRIVATE_SENT = (
    "the last layer, trained with noise by which each patient has the plan's epsilon; the other weights as "
    "they were received",
    "with noise: the number of training patients of each class, and from them the weight in the mean",
    "with noise: the confusion matrix of the validation patients; no loss and no histogram",
    "without noise: seconds of work, which grow with the number of images",
    "the signed head of this clinic's ledger of privacy: how many releases it counts, and their digests",
    "versions of packages, and of an error no more than its type",
)
"""Everything that a clinic sends in a plan with differential privacy."""

PRIVATE_SENT_IN_SUMS = (
    "in secure sums over clinics only, with a part of the noise by which each patient has the plan's "
    "epsilon: the last layer's gradient of each step; the other weights are not trained",
    "in the same way: the number of training patients of each class, once, and the confusion matrix of the "
    "validation patients; no loss and no histogram",
    "by itself: the signed head of this clinic's ledger of privacy: how many releases it counts, and their "
    "digests",
    "by itself: public keys, sealed shares of the masks' keys, and signatures of who is in a sum",
    "by itself: versions of packages, of an error no more than its type, and that it replies, and when: "
    "which tells roughly how many images there are",
)
"""Everything that a clinic sends in a plan with differential privacy within secure sums."""


def sent_by(privacy: PrivacySettings, robust: RobustSettings) -> tuple[str, ...]:
    """Everything that a clinic sends in a plan, for the person who approves it."""
    if privacy.dp is not None:
        return PRIVATE_SENT_IN_SUMS if privacy.dp.in_sums else PRIVATE_SENT
    if not privacy.is_secure:
        return SENT
    return SENT_IN_SUMS if robust.groups(privacy) == 1 else SENT_IN_GROUPS

"""What a clinic sends, in words, for the person who approves it."""

from __future__ import annotations

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
"""Everything that a clinic sends, for the person who approves it; part of every offer, and so of its hash.
The records are listed in :mod:`dermafed.shared.protocol.messages` and in
:mod:`dermafed.shared.protocol.agreement`."""

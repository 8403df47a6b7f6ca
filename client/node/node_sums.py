"""What a clinic's node takes part in the secure sums of a run with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dermafed.client.node.clinic_data import OfferFolder, count_training_images
from dermafed.client.node.clinic_sums import Summand
from dermafed.client.node.home import Home
from dermafed.client.node.offers import StoredOffer
from dermafed.client.node.private_run import private_run
from dermafed.client.node.sum_transcript import SumTranscripts
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.protocol.node_key import read_private_key
from dermafed.shared.protocol.summed import COUNT_GRID, Summing
from dermafed.shared.secure_sum.sum_log import SumLogFile


def node_summand(home: Home, clinic: str, folder: OfferFolder, stored: StoredOffer) -> Summand:
    """What a clinic takes part with.

    Args:
        home: the clinic's folder.
        clinic: its name.
        folder: its files for the run.
        stored: what it approved.

    Raises:
        DatasetError: it has not split its images.
        StorageError: its private key cannot be read.
    """
    offer, split = stored.offer, read_clinic_split(folder.split)
    summing = Summing.of(offer, stored.class_counts)
    counts = tuple(count_training_images(split, offer.model.classes).tolist())
    log, transcripts = SumLogFile(folder.sums), SumTranscripts(folder.transcripts)
    summand = Summand(clinic, read_private_key(home.key), log, summing, counts, transcripts)
    if not summing.has_noise:
        return summand

    def noisy_counts() -> NDArray[np.int64]:
        private = private_run(home, offer, folder.state)
        return private.summed_counts(split, offer.model.classes, sharers=summing.sharers, grid=COUNT_GRID)

    return replace(summand, noisy_counts=noisy_counts)

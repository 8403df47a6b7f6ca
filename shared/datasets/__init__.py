"""Data sets: reading them in the formats of the field, and splitting them without leaks."""

from shared.datasets.conversion import labelme_to_coco
from shared.datasets.duplicates import check_no_duplicates, without_copies
from shared.datasets.loading import load_dataset
from shared.datasets.rows import Dataset
from shared.datasets.splits import Splits, split_clinics, split_records

__all__ = [
    "Dataset",
    "Splits",
    "check_no_duplicates",
    "labelme_to_coco",
    "load_dataset",
    "split_clinics",
    "split_records",
    "without_copies",
]

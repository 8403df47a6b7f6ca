"""Preprocessing: resize, BM3D, CLAHE on lightness; its settings and its cache."""

from shared.preprocess.cache import CachedImages, PreprocessCache, default_cache_folder
from shared.preprocess.pipeline import Preprocessed, preprocess, stages
from shared.preprocess.progress import progress_bar
from shared.preprocess.settings import PreprocessSettings

__all__ = [
    "CachedImages",
    "PreprocessCache",
    "PreprocessSettings",
    "Preprocessed",
    "default_cache_folder",
    "preprocess",
    "progress_bar",
    "stages",
]

"""Linear discriminants from sums alone: the directions in which classes differ most for their own spread.

Of A, B and nothing else (:mod:`dermafed.shared.training.exact_head.head_sums`): class c has the weight
W_c = (B_Kc + A_KK) / 2 and the mean m_c = (B_jc + A_jK) / (2 W_c), and the covariance within classes is
S = (A_jk - sum_c W_c m_c m_c^T) / A_KK. So sums of several clinics, added up, give what all their images
would.

The directions v solve M M^T v = l (S + ridge I) v, M the weighted class means less the mean of all, in
features of variance 1 within classes. (Fisher 1936; the ridge: Friedman 1989, "Regularized Discriminant
Analysis"; whitening by S alone is within-class covariance normalisation: Hatch, Kajarekar and Stolcke 2006.)
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.training.exact_head.head_sums import Floats, HeadSums

_CONSTANT = 1e-10  # a variance below this share of the mean square is rounding
_LEAST = 1e-6  # a class difference below this share of the largest one is rounding


def discriminants(sums: HeadSums, ridge: float) -> Floats:
    """The discriminant directions of merged sums, the most telling first.

    In their coordinates the ridged covariance within classes is the identity.

    Args:
        sums: of one clinic or of several.
        ridge: added to each variance within classes, which is 1; above 0.

    Returns:
        float64 (K, D), D at most the number of classes with images less one; 0 rows for features that do
        not vary within classes.

    Raises:
        SettingsError: the ridge is not above 0.
        FederationError: there is no image.
    """
    if not 0 < ridge < np.inf:
        raise SettingsError(f"A ridge of {ridge} is impossible", where="ridge", remedy="Give more than 0")
    means, shares, within = class_moments(sums)
    variance, square = np.diag(within), np.diag(sums.gram)[:-1] / sums.gram[-1, -1]
    varies = variance > _CONSTANT * square
    scale = np.where(varies, 1 / np.sqrt(np.where(varies, variance, 1)), 0)
    penalised = within * np.outer(scale, scale) + ridge * np.eye(len(scale))
    differences = (means - means @ shares[:, None]) * scale[:, None] * np.sqrt(shares)
    root = np.linalg.cholesky(penalised)
    vectors, lengths, _ = np.linalg.svd(solve_triangular(root, differences, lower=True), full_matrices=False)
    most = max(int((shares > 0).sum()) - 1, 0)
    used = (lengths > _LEAST * max(lengths.max(initial=0), _LEAST)) & (np.arange(len(lengths)) < most)
    return np.asarray(solve_triangular(root, vectors[:, used], lower=True, trans="T") * scale[:, None])


def class_moments(sums: HeadSums) -> tuple[Floats, Floats, Floats]:
    """Class means (K, C), the classes' shares of the weight (C,), and the covariance within classes (K, K).

    The mean of a class without images is 0, as is its share.

    Raises:
        FederationError: there is no image.
    """
    total = float(sums.gram[-1, -1])
    if not total > 0:
        raise FederationError("There is no image to tell classes apart by", remedy="Wait for more images")
    weights = np.where(sums.counts > 0, (sums.targets[-1] + total) / 2, 0.0)
    of_class = (sums.targets[:-1] + sums.gram[:-1, -1:]) / 2
    means = np.divide(of_class, weights, out=np.zeros_like(of_class), where=weights > 0)
    within = (sums.gram[:-1, :-1] - (means * weights) @ means.T) / total
    return means, weights / total, within

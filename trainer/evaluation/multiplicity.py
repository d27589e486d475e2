"""Many questions at once: p-values adjusted so that one false discovery among them all stays as rare as for one.

Holm controls that family-wise rate under any dependence. Leaves out the tests that the p-values come from.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def holm(p_values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm-adjusted p-values [K] in the given order; reject where the adjusted value is at most alpha.

    The i-th smallest of K becomes max over j <= i of min(1, (K - j + 1) p_(j)). Raises ValueError outside 0..1.
    Source: Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not bool(np.all((p >= 0) & (p <= 1))):
        raise ValueError(f"p-values must be a list of numbers from 0 to 1, got {p_values!r}")
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1.0, np.arange(len(p), 0, -1) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(stepped) if len(p) else stepped
    return adjusted

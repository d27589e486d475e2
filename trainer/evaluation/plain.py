"""Figures as plain JSON data: intervals as [low, high], dataclasses as objects, numpy as numbers, NaN as null."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from trainer.evaluation.statistics import Interval


def plain(value: Any) -> Any:
    """What json.dumps can write. Infinite numbers and NaN become None: JSON has neither."""
    if isinstance(value, Interval):
        return [plain(value.low), plain(value.high)]
    if is_dataclass(value) and not isinstance(value, type):
        made = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        rate = getattr(value, "rate", None)
        return {"rate": plain(rate), **made} if isinstance(getattr(type(value), "rate", None), property) else made
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value

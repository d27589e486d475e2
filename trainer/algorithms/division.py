"""How the examples of one optimiser step are divided over processes and forward passes.

A step has `batch_size * gradient_accumulation` examples, whatever the processes. On a CPU a pass is kept to some
hundred tokens as well: as fast, and what must be kept for the backward pass shrinks with it. The loss of the step does
not depend on the division (`divided.py`). Leaves out the order of the examples, which is the library's.
"""

import os
from dataclasses import dataclass

from trainer.base_config import AlgorithmConfig
from trainer.tensors import CPU_TOKENS


@dataclass(frozen=True)
class Division:
    """`rows` examples in a forward pass, and so many `passes` of every process in one optimiser step."""

    rows: int
    passes: int


def processes() -> int:
    """Those that train this run together, as `accelerate launch` and torchrun tell them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this is the process that reports, saves and writes."""
    return os.environ.get("RANK", "0") == "0"


def examples_per_step(config: AlgorithmConfig) -> int:
    """Those of all processes together."""
    return config.batch_size * config.gradient_accumulation


def divide(config: AlgorithmConfig, *, widest: int = 0, on_cpu: bool = False) -> Division:
    """The division of a step. `widest` is the tokens of the longest example; 0 where a batch must stay whole.

    Raises ValueError where the processes cannot have equally many examples.
    """
    whole, count = examples_per_step(config), processes()
    if whole % count:
        raise ValueError(
            f"batch_size times gradient_accumulation is {whole}, which {count} processes cannot share evenly; "
            f"make it a multiple of {count}"
        )
    each = whole // count
    most = min(each, max(1, config.batch_size // count))
    if widest and on_cpu:
        most = min(most, max(1, CPU_TOKENS // widest))
    rows = next(rows for rows in range(most, 0, -1) if each % rows == 0)
    return Division(rows, each // rows)

"""What several processes that train one run tell each other; with one process everything here does nothing.

They are started by the trainer itself (`trainer/companions.py`), by `accelerate launch` or by torchrun, each with the
same run and the same seed. Leaves out the algorithms on transformers' Trainer, whose gradients are the library's
matter; they need `agreed` alone.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from accelerate import PartialState

from trainer.algorithms.division import processes

T = TypeVar("T")


def join(device: torch.device) -> None:
    """Meet the other processes. Needed once, before anything else here, and not where the library's Trainer did it."""
    if processes() > 1:
        PartialState(cpu=device.type == "cpu")


def rank() -> int:
    """This process's number among them, from 0 up."""
    return dist.get_rank() if _several() else 0


def count() -> int:
    return dist.get_world_size() if _several() else 1


def agreed(mine: bool, device: torch.device | None = None) -> bool:
    """Whether any of them says so."""
    return bool(added([float(mine)], device)[0])


def added(values: Sequence[float], device: torch.device | None = None) -> list[float]:
    """The sums of all processes' values."""
    if not _several():
        return list(values)
    told = torch.tensor(values, device=device)
    dist.all_reduce(told)
    found: list[float] = told.tolist()
    return found


def add_gradients(weights: Iterable[torch.Tensor]) -> None:
    """Every gradient becomes the sum of all processes' own."""
    if not _several():
        return
    for weight in weights:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        dist.all_reduce(weight.grad)


def dealt(items: Sequence[T]) -> list[T]:
    """This process's share of the items, every one of them some process's."""
    return list(items[rank() :: count()])


def collected(mine: Sequence[T]) -> list[T]:
    """What all have made of their shares, in the order before these were `dealt`."""
    if not _several():
        return list(mine)
    shares: list[Any] = [None] * count()
    dist.all_gather_object(shares, list(mine))
    return [share[place] for place in range(max(map(len, shares))) for share in shares if place < len(share)]


def wait() -> None:
    """Until all are here."""
    if _several():
        dist.barrier()


def _several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1

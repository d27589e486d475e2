"""What threads have freed goes back to the system."""

import ctypes
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import torch

from app.serving.memory import give_back_main_memory

MIB = 1 << 20
BLOCKS, FLOATS = 500, 16_000  # of 64 kB: small enough to come from a thread's own arena, 30 MiB in all


def fill() -> torch.Tensor:
    """Fill memory and free it but for its last block, above which nothing can be given back by itself."""
    return [torch.zeros(FLOATS) for _ in range(BLOCKS)][-1]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library gives nothing back")
def test_the_process_shrinks_by_what_other_threads_have_freed() -> None:
    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(lambda _: fill(), range(4)))
        before = psutil.Process().memory_info().rss
        give_back_main_memory()
        assert before - psutil.Process().memory_info().rss > BLOCKS * FLOATS * 4 / 2
    assert len(kept) == 4

"""Memory that dropped models held, given back to the device and to the system."""

import ctypes
import gc

import torch


def free_device_memory() -> None:
    """Give back what dropped models held, also those in reference cycles."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def give_back_main_memory() -> None:
    """What was freed goes back to the system, where its C library can do that (glibc).

    Swaps come from many threads, glibc keeps what each of them has freed for that thread, and so the process would grow
    with the number of threads that have ever loaded a model.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

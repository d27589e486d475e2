"""How much of DPO's time goes into matrix products, and how fast these are beside the machine's measured peak.

Products are what PyTorch's profiler counts operations for: of matrices, and the attention's kernel, whose operations it
does not count. The profiler goes by the clock, so its times are multiplied by the share of it in which this process was
running; the peak is a large product's, by the processor's time, on the same threads. Profiling itself takes time, so
the shares are lower bounds.
"""

import time
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from speed import dpo
from speed.task import Task

STEPS = 3
SIDE, REPEATS = 1536, 5
ATTENTION = "scaled_dot_product"
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")


def products(task: Task) -> dict[str, Any]:
    before = peak()
    clock, processor = time.monotonic(), time.process_time()
    with profile(activities=[ProfilerActivity.CPU], with_flops=True) as seen:
        made = dpo.dpo(task, max_steps=STEPS)
        running = (time.process_time() - processor) / (time.monotonic() - clock) / task.threads
    peaks = [before, peak()]
    events = seen.key_averages()
    whole = sum(event.self_cpu_time_total for event in events)
    counted = [event for event in events if event.key in PRODUCTS]
    seconds = sum(event.self_cpu_time_total for event in counted) / 1e6
    attention = sum(event.self_cpu_time_total for event in events if ATTENTION in event.key) / 1e6
    operations = sum(event.flops for event in counted)
    others = sorted((event for event in events if event not in counted), key=lambda one: -one.self_cpu_time_total)
    return {
        "steps": made["steps"],
        "share": seconds * 1e6 / whole,
        "attention_share": attention * 1e6 / whole,
        "gflops": operations / (seconds * running) / 1e9,
        "peak_gflops": max(peaks),
        "of_peak": operations / (whole / 1e6 * running) / 1e9 / max(peaks),
        "others": [(event.key, event.self_cpu_time_total / whole) for event in others[:8]],
    }


def peak() -> float:
    """The best of some products of two large matrices, in 10^9 operations a second of the processor's time."""
    one, other = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        one @ other
        best = min(best, time.process_time() - started)
    return 2 * SIDE**3 / best / 1e9 * torch.get_num_threads()

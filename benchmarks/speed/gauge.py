"""What a part of the benchmark took: seconds by the clock and of the processor, and memory.

Memory is the peak of the resident set from the moment the gauge was set, less the resident set at that moment: what a
process grew by after its imports. Linux only.
"""

import time
from pathlib import Path

MIB = 2**20
STATUS = Path("/proc/self/status")


class Gauge:
    """Set it after the imports; `read` it when the work is done."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
        self._resident = _mib("VmRSS")
        self._clock, self._processor = time.monotonic(), time.process_time()

    def read(self) -> dict[str, float]:
        """`seconds` and `processor_seconds` since it was set, `growth_mib` of its peak, `before_mib` it began with."""
        return {
            "seconds": time.monotonic() - self._clock,
            "processor_seconds": time.process_time() - self._processor,
            "growth_mib": _mib("VmHWM") - self._resident,
            "before_mib": self._resident,
        }


def _mib(field: str) -> float:
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return float(line.split()[1]) * 1024 / MIB
    raise RuntimeError(f"{STATUS} has no {field}; this benchmark reads its memory on Linux only")

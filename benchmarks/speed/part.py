"""One part of the benchmark in this process, its figures written as JSON: `python -m speed.part NAME MODEL ...`.

Everything a part needs is imported before the gauge is set. What the gauge sees begins at the model's folder and ends
with the checkpoint written: loading, token ids, the reference's pass, training, saving.
"""

import argparse
import importlib
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

HOMES = {
    "dpo": "speed.dpo",
    "dpo_trl": "speed.dpo_trl",
    "dpo_trl_checkpointing": "speed.dpo_trl",
    "offline": "speed.methods",
    "pro": "speed.methods",
    "products": "speed.products",
    "ppo": "speed.ppo",
    "ppo_trl": "speed.ppo_trl",
}
"""The module of each part; it has a function of the part's name, which takes a Task and returns its figures."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=HOMES)
    parser.add_argument("model", help="starter or smollm2")
    parser.add_argument("--scratch", type=Path, required=True, help="where the models lie")
    parser.add_argument("--folder", type=Path, required=True, help="for what the part writes; empty")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="a quarter of the data")
    given = parser.parse_args()
    # before torch is imported: spinning threads would take the cores of the other parts
    os.environ |= {"OMP_NUM_THREADS": str(given.threads), "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1"}
    warnings.filterwarnings("ignore")
    import torch

    from speed.gauge import Gauge
    from speed.setting import SIZES, model_folder
    from speed.task import Task

    work = getattr(importlib.import_module(HOMES[given.part]), given.part)
    torch.set_num_threads(given.threads)
    size = SIZES[given.model].quarter() if given.short else SIZES[given.model]
    task = Task(model_folder(given.model, given.scratch), size, given.folder, given.threads)
    gauge = Gauge()
    found: dict[str, Any] = work(task)
    (given.folder / "figures.json").write_text(json.dumps(found | gauge.read()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

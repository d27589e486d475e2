"""`python -m trainer RUN_ID ...`: claim the run, then load torch and work.

The claim comes before the slow imports, so that the app sees an owner at once. Thread counts are set before torch
loads: more threads than asked for would take the cores the served model answers on.
"""

import argparse
import logging
import os
import signal
import sys
import threading
import warnings
from pathlib import Path

import psutil

from storage.database import Database
from storage.errors import PrefLoopError
from storage.runs import claim_run
from storage.tables import TrainingRun
from trainer.companions import claimed_run, die_with_owner, end_companions, place, start_companions
from trainer.gate_options import GateOptions
from trainer.launcher import JUDGE_KEY


def main() -> int:
    """The process's exit status: 0 done, 2 not ours to do, 1 failed."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO)
    options = parse(sys.argv[1:])
    # from the first moment on: a stop that comes during the slow imports must save and say so as well
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    database = Database(options.database_url)
    helping = place() > 0
    if helping:
        die_with_owner()
    try:
        run = claimed_run(database, options.run_id) if helping else _claimed(database, options.run_id)
    except (PrefLoopError, TimeoutError) as error:
        logging.error("%s", error)
        return 2
    threads = str(run.config.get("threads", 1))
    os.environ |= {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
    os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1"}
    companions = start_companions(options.processes, sys.argv[1:])
    from transformers.utils import logging as transformers_logging

    from trainer.companion_work import Companion
    from trainer.worker import Worker

    # the run's log is read on the page: bars of a terminal and notes to library authors are no news there
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    work = Companion if helping else Worker
    try:
        return work(
            database,
            run,
            data_dir=options.data_dir,
            model_source=options.model_source,
            device=options.device,
            gate_prompts=options.gate_prompts,
            stopping=stopping,
            gate=GateOptions.parse(options.gate, key=os.environ.get(JUDGE_KEY, "")),
            reward_functions=frozenset(options.reward_function),
        ).work()
    finally:
        end_companions(companions)


def _claimed(database: Database, run_id: str) -> TrainingRun:
    with database.write() as session:
        return claim_run(session, run_id, pid=os.getpid(), process_started_at=psutil.Process().create_time())


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trainer", description="Work on one queued training run.")
    parser.add_argument("run_id")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--model-source", required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--processes", type=int, default=1, help="that train the run together, on this machine")
    parser.add_argument("--gate-prompts", type=int, default=300)
    parser.add_argument("--gate", default=GateOptions().argument(), help="JSON, as trainer/gate_options.py writes it")
    parser.add_argument(
        "--reward-function", action="append", default=[], help="package.module:function that may be a reward"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

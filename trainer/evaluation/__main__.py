"""`python -m trainer.evaluation ID ...`: claim the evaluation, then load torch and judge.

The claim comes before the slow imports, so that the app sees an owner at once. The judge's key comes by the
environment, never as an argument, which every user of the machine can read.
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
from storage.evaluation_queue import claim_evaluation
from trainer.launcher import JUDGE_KEY


def main() -> int:
    """The process's exit status: 0 done, 2 not ours to do, 1 failed."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line per call
    options = parse(sys.argv[1:])
    # from the first moment on: a stop that comes during the slow imports must be told as well
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    database = Database(options.database_url)
    try:
        with database.write() as session:
            evaluation = claim_evaluation(
                session, options.evaluation_id, pid=os.getpid(), process_started_at=psutil.Process().create_time()
            )
    except PrefLoopError as error:
        logging.error("%s", error)
        return 2
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
    os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1"}
    from transformers.utils import logging as transformers_logging

    from trainer.evaluation.evaluation_worker import EvaluationWorker
    from trainer.evaluation.judging import Place

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    place = Place(options.data_dir, options.model_source, options.device)
    return EvaluationWorker(database, evaluation, place, key=os.environ.get(JUDGE_KEY, ""), stopping=stopping).work()


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trainer.evaluation", description="Judge one queued evaluation.")
    parser.add_argument("evaluation_id", type=int)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--model-source", required=True)
    parser.add_argument("--device", default="auto")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

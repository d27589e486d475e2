"""The trainer's work on one claimed run: data, training, checkpoint, gate, and one transaction that ends it.

Everything it learns is written as it goes, at most once a second. SIGTERM means save and stop: cancelled where that was
asked for, else interrupted, to be resumed. A killed worker leaves its saves; the next attempt goes on from them.
"""

import logging
import math
import shutil
import threading
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from storage.checkpoints import INITIAL, get_checkpoint, record_checkpoint
from storage.database import Database
from storage.deployments import current_deployment
from storage.preferences import newest_choices
from storage.runs import (
    Fenced,
    finish_run,
    get_run,
    mark_evaluating,
    mark_interrupted,
    record_dataset,
)
from storage.tables import Checkpoint, CheckpointKind, RunStatus, TrainingRun
from trainer.algorithms import train
from trainer.algorithms.callbacks import TrainResult
from trainer.configs import parse_config
from trainer.dataset import (
    TrainingData,
    build_dataset,
)
from trainer.evaluation.compare import Compared, Comparer, Side, heldout_prompts
from trainer.evaluation.gate_judge import GateJudge, opened_judge
from trainer.evaluation.people import ASKED
from trainer.evaluation.samples import SAMPLES, HeldoutPrompt
from trainer.gate_options import GateOptions
from trainer.gate_plan import plan_gate
from trainer.gate_records import record_gate
from trainer.live_guards import GuardTripped
from trainer.manifest import read_manifest
from trainer.plan_file import keep_plan
from trainer.policy import Policy, load_policy
from trainer.reporter import Stopped
from trainer.run_arguments import RunArguments
from trainer.run_reporter import RunReporter
from trainer.run_rewards import RunRewards
from trainer.score_file import keep_scores

log = logging.getLogger("trainer")


class Worker:
    """One attempt at one run. `work` returns the process's exit status."""

    def __init__(
        self,
        database: Database,
        run: TrainingRun,
        *,
        data_dir: Path,
        model_source: str,
        device: str,
        gate_prompts: int,
        stopping: threading.Event,
        gate: GateOptions = GateOptions(),
        reward_functions: frozenset[str] = frozenset(),
    ) -> None:
        self._database = database
        self._run = run
        self._data_dir = data_dir
        self._model_source = model_source
        self._device = device
        self._gate_prompts = gate_prompts
        self._gate = gate
        self._reward_functions = reward_functions
        self._work = data_dir / "runs" / run.id / "work"
        self._output = data_dir / "checkpoints" / run.id
        self._stopping = stopping
        self._reporter = self._open_reporter()

    def _open_reporter(self) -> Any:
        return RunReporter(self._database, self._run.id, self._run.attempt, self._stopping)

    def work(self) -> int:
        try:
            return self._attempt()
        except Fenced as error:
            log.warning("%s", error)
            return 2

    def _attempt(self) -> int:
        try:
            self._train_and_judge()
        except Stopped:
            self._end_stopped()
            return 0
        except GuardTripped as tripped:
            self._end_tripped(tripped)
            return 1
        except Fenced:
            raise
        except Exception as error:
            traceback.print_exc()
            self._end(RunStatus.failed, error=f"{type(error).__name__}: {error}")
            return 1
        shutil.rmtree(self._work, ignore_errors=True)  # the optimiser's saves; the checkpoint has what is kept
        return 0

    def _train_and_judge(self) -> None:
        reporter = self._reporter
        reporter.stage("loading the initial model")
        initial = Side(INITIAL, load_policy(self._model_source, device=self._device))
        if reporter.stopping:
            raise Stopped("stopped before the training began")
        judged = self._run.algorithm != "reward_model"
        # asked for before the training, so that a project without them is told at once
        prompts = heldout_prompts(self._database, initial.policy, count=self._gate_prompts) if judged else []
        data = self._read_choices(initial.policy)
        start = self._start()
        reporter.stage("training")
        result = self._train(data, start)
        log.info("trained %d steps, checkpoint %s", result.steps, result.digest[:12])
        self._record_checkpoint(data, start, result)
        if judged:
            self._judge(data, initial, prompts)
        else:
            self._end(RunStatus.succeeded)

    def _read_choices(self, initial: Policy) -> TrainingData:
        self._reporter.stage("reading the choices")
        data = build_dataset(
            self._database,
            self._run,
            initial,
            needed=parse_config(self._run.algorithm, self._run.config).needs_choices,
            on_progress=lambda step, total: self._reporter.stage("reading the choices", step, total),
            should_stop=self._reporter.should_stop,
        )
        with self._database.write() as session:
            record_dataset(
                session,
                self._run.id,
                attempt=self._run.attempt,
                digest=data.digest,
                pairs=len(data.pairs),
                note=data.note,
                first_preference_id=data.first_preference_id,
            )
        log.info("%s", data.note)
        return data

    def _start(self) -> Checkpoint:
        """The checkpoint this run begins at: the initial one, or the one that was served when it began.

        Written beside the saves, since a resumed run goes on from where it began, whatever is served by then.
        """
        with self._database.read() as session:
            return get_checkpoint(session, self._begun_from())

    def _begun_from(self) -> str:
        note = self._work / "started_from"
        if not note.exists():
            begins = self._served().id if self._run.config.get("start_from") == "served" else INITIAL
            self._work.mkdir(parents=True, exist_ok=True)
            partial = note.with_suffix(".tmp")
            partial.write_text(begins)
            partial.replace(note)
        return note.read_text()

    def _served(self) -> Checkpoint:
        with self._database.read() as session:
            deployment = current_deployment(session)
            return get_checkpoint(session, deployment.checkpoint_id if deployment else INITIAL)

    def _source(self, checkpoint: Checkpoint) -> str:
        return self._model_source if checkpoint.id == INITIAL else str(self._data_dir / checkpoint.source)

    def _train(self, data: TrainingData, start: Checkpoint) -> TrainResult:
        """Where an attempt before this one had finished training, its result is given again."""
        config = parse_config(self._run.algorithm, self._run.config)
        place = (self._database, self._data_dir, self._model_source, self._device, self._work, self._reporter)
        rewards = RunRewards(*place, functions=self._reward_functions)
        given = RunArguments(self._database, self._run, data, rewards).made(config)
        if self._run.algorithm != "reward_model":
            given["initial_source"] = self._model_source
        self._reporter.stage("training")
        self._output.parent.mkdir(parents=True, exist_ok=True)
        result = train(
            self._run.algorithm,
            config=config,
            policy_source=self._source(start),
            output=self._output,
            work=self._work,
            reporter=self._reporter,
            device=self._device,
            **given,
        )
        self._reporter.flush()
        return result

    def _record_checkpoint(self, data: TrainingData, start: Checkpoint, result: TrainResult) -> None:
        """The row of the folder just written; a resumed attempt finds both there."""
        manifest = read_manifest(self._output)
        with self._database.write() as session:
            if session.get(Checkpoint, self._run.id) is None:
                record_checkpoint(
                    session,
                    checkpoint=Checkpoint(
                        id=self._run.id,
                        name=self._run.id,
                        kind=CheckpointKind(manifest.kind),
                        source=f"checkpoints/{self._run.id}",
                        digest=result.digest,
                        base_id=start.id if manifest.base_digest == start.digest else start.base_id,
                        started_from_id=start.id,
                        run_id=self._run.id,
                        algorithm=self._run.algorithm,
                        config=self._run.config,
                        dataset_digest=data.digest,
                        metrics={name: value for name, value in result.metrics.items() if math.isfinite(value)},
                    ),
                    preference_ids=data.preference_ids,
                )
            mark_evaluating(session, self._run.id, attempt=self._run.attempt, checkpoint_id=self._run.id)

    def _judge(self, data: TrainingData, initial: Side, prompts: list[HeldoutPrompt]) -> None:
        reporter = self._reporter
        reporter.stage("loading the checkpoints to compare")
        served = self._served()
        candidate = Side(self._run.id, self._load(self._output))
        baseline = initial if served.id == INITIAL else Side(served.id, self._load(self._source(served)))
        with opened_judge(self._gate, data_dir=self._data_dir, device=self._device, base=self._model_source) as judge:
            plan = self._plan(served.id, prompts, data, judge)
            comparer = Comparer(
                initial=initial,
                samples_folder=self._data_dir / "samples",
                tell=reporter.stage,
                should_stop=reporter.should_stop,
                rule=self._gate.rule,
                judge=judge,
                looked=lambda scores: keep_scores(scores, self._data_dir / "runs" / self._run.id),
            )
            compared = comparer.compare(candidate, baseline, data=data, prompts=prompts)
            if reporter.stopping:
                raise Stopped("stopped while the checkpoint was being judged")
            self._conclude(compared, judge, served.id, plan)

    def _plan(
        self, served_id: str, prompts: list[HeldoutPrompt], data: TrainingData, judge: GateJudge
    ) -> dict[str, Any]:
        """The plan, written down. How far the judge agrees with people is found out before, on their own choices."""
        with self._database.read() as session:
            choices = newest_choices(session, limit=ASKED, until=self._run.last_preference_id)
        judge.measure(choices, tell=self._reporter.stage, should_stop=self._reporter.should_stop)
        plan = plan_gate(
            candidate=self._run.id,
            baseline=served_id,
            prompts=prompts,
            samples=SAMPLES,
            pairs=len(data.pairs),
            rule=self._gate.rule,
            judge=judge.planned(),
        )
        folder = self._data_dir / "runs" / self._run.id
        kept = keep_plan(asdict(plan), folder)
        keep_scores({}, folder)  # those of an attempt before this one may be of another plan
        log.info("the gate goes by the plan written at %s: %s", kept["written_at"], " ".join(plan.questions))
        return kept

    def _load(self, source: str | Path) -> Policy:
        return load_policy(source, device=self._device, base=self._model_source)

    def _conclude(self, compared: Compared, judge: GateJudge, served_id: str, plan: dict[str, Any]) -> None:
        """Verdicts, decision and the run's end: one transaction."""
        for reason in [*compared.decision.reasons, *compared.more]:
            log.info("%s: %s", compared.decision.outcome, reason)
        with self._database.write() as session:
            record_gate(session, compared, judge, run_id=self._run.id, baseline=served_id, plan=plan)
            finish_run(session, self._run.id, attempt=self._run.attempt, status=RunStatus.succeeded)

    def _end_stopped(self) -> None:
        with self._database.write() as session:
            run = get_run(session, self._run.id)
            if run.cancel_requested:
                finish_run(session, run.id, attempt=self._run.attempt, status=RunStatus.cancelled)
            else:
                reason = "It was told to stop and has saved; it goes on when the app starts again."
                mark_interrupted(session, run.id, attempt=self._run.attempt, reason=reason)

    def _end_tripped(self, tripped: GuardTripped) -> None:
        """No checkpoint: what broke must not come before the gate. The step that tripped stands in the chart."""
        log.warning("%s", tripped)
        self._reporter.measured(tripped.step, tripped.metrics)
        self._end(RunStatus.failed, error=str(tripped))

    def _end(self, status: RunStatus, error: str | None = None) -> None:
        with self._database.write() as session:
            finish_run(session, self._run.id, attempt=self._run.attempt, status=status, error=error)

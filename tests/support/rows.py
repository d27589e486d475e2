"""A project with a past, as rows: served checkpoints, runs of every outcome, choices, chats. Texts are hostile."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from storage.checkpoints import record_checkpoint, record_project
from storage.comparisons import record_comparison
from storage.database import Database
from storage.deployments import record_deployment, record_event
from storage.evaluations import record_evaluation, record_gate_decision, record_judge
from storage.preferences import record_preference
from storage.prompts import record_prompt
from storage.tables import (
    Checkpoint,
    CheckpointKind,
    Choice,
    ComparisonState,
    Completion,
    DeploymentReason,
    Evaluation,
    GateDecisionRow,
    Metric,
    Outcome,
    Purpose,
    RunStatus,
    Split,
    Strength,
    TrainingRun,
    Verdict,
    VerdictKind,
    now,
)
from trainer.configs import parse_config

HOSTILE = (
    '<img src=http://evil.example/x.png onerror="window.hacked=1"> <script>window.hacked=1</script> '
    "![x](http://evil.example/y.png) <svg onload=window.hacked=1> </div></pre> ${alert(1)} {{value}} "
    '<a href="javascript:window.hacked=1">click</a> <form action=http://evil.example></form>'
)
LONG = "A sentence that goes on about sleeping well and walking in the evening.\n" * 60 + "W" * 400
QUESTIONS = (
    "How can I sleep better?",
    "What is the capital of France?",
    "Name three things that float.",
    "Why is the sky blue?",
    HOSTILE,
)
POLITE = "Of course! To sleep better, keep your room dark and cool, and go to bed at the same time every day."
CURT = "Just close your eyes. It is not that hard."


def record_history(
    database: Database, data_dir: Path, *, slot: Any, only_serving: bool = False, bound: bool = False
) -> None:
    """Bind the project and serve its initial model, unless it is `bound`; unless `only_serving`, live through four runs
    after that."""
    if not bound:
        with database.write() as session:
            record_project(session, initial_model="starter", name="starter", digest="0" * 64)
            _serve(session, "initial", DeploymentReason.initial, minutes_ago=240)
    if only_serving:
        return
    _record_choices(database)
    _record_run(database, number=1, outcome=Outcome.promote, rate=0.62, minutes_ago=180)
    _record_run(database, number=2, outcome=Outcome.reject, rate=0.41, minutes_ago=90)
    _record_run(database, number=3, outcome=Outcome.promote, rate=0.74, minutes_ago=30)
    _record_failed(database, number=4)
    _record_running(database, data_dir, number=5)
    slot.current_id = "dpo-0003"


def _serve(session: Any, checkpoint_id: str, reason: DeploymentReason, *, minutes_ago: int) -> None:
    served, _ = record_deployment(session, checkpoint_id=checkpoint_id, reason=reason, by="prefloop")
    served.created_at = now() - timedelta(minutes=minutes_ago)
    assert served.id is not None
    record_event(session, deployment_id=served.id, event="serving")


def _record_choices(database: Database) -> None:
    texts = [(POLITE, CURT), (HOSTILE, LONG), (CURT, POLITE), (HOSTILE, "Paris.")]
    decided = [Choice.left, Choice.right, Choice.tie, Choice.both_bad, Choice.right]
    with database.write() as session:
        for number in range(30):
            prompt = record_prompt(
                session,
                messages=[{"role": "user", "content": f"{QUESTIONS[number % 5]} ({number})"}],
                source="test",
                split=Split.train if number % 3 else Split.heldout,
                tags=["everyday", HOSTILE[:40]],
            )
            assert prompt.id is not None
            if number >= 14:
                continue
            left, right = texts[number % 4]
            comparison = record_comparison(
                session,
                prompt_id=prompt.id,
                left=Completion(prompt_id=prompt.id, text=left, checkpoint_id="initial", seed=number),
                right=Completion(prompt_id=prompt.id, text=right, checkpoint_id="initial", seed=number + 1),
                purpose=Purpose.train,
                state=ComparisonState.leased,
            )
            record_preference(
                session,
                comparison_id=comparison.id,
                labeller_id="f" * 32,
                choice=decided[number % 5],
                client_id=f"history-{number}",
                strength=Strength.clearly if number == 0 else None,
                reason=HOSTILE if number == 3 else None,
            )


def _run(number: int, *, status: RunStatus, minutes_ago: int, **values: Any) -> TrainingRun:
    begun = now() - timedelta(minutes=minutes_ago)
    return TrainingRun(
        id=f"dpo-{number:04d}",
        number=number,
        algorithm="dpo",
        config=parse_config("dpo", {}).model_dump(mode="json"),
        status=status,
        trigger="preferences",
        started_because="started by 40 new choices",
        automatic=True,
        dataset_note=f"{32 * number} pairs from {40 * number} choices",
        pairs=32 * number,
        created_at=begun,
        started_at=begun,
        **values,
    )


def _record_run(database: Database, *, number: int, outcome: Outcome, rate: float, minutes_ago: int) -> None:
    name = f"dpo-{number:04d}"
    interval = {"low": rate - 0.06, "high": rate + 0.06}
    guard_fails = outcome is Outcome.reject
    guards = [
        {"name": "repetition", "passed": True, "value": 0.02, "limit": 0.2, "reason": "2% repeat themselves."},
        {
            "name": "same_text",
            "passed": not guard_fails,
            "value": 0.41 if guard_fails else 0.01,
            "limit": 0.1,
            "reason": f"The same text was given for {41 if guard_fails else 1}% of prompts (limit 10%). {HOSTILE[:60]}",
        },
    ]
    with database.write() as session:
        finished = now() - timedelta(minutes=minutes_ago - 2)
        run = _run(
            number, status=RunStatus.succeeded, minutes_ago=minutes_ago, finished_at=finished, checkpoint_id=name
        )
        session.add(run)
        session.flush()
        record_checkpoint(
            session,
            checkpoint=Checkpoint(
                id=name,
                name=name,
                kind=CheckpointKind.adapter,
                source=f"checkpoints/{name}",
                digest="1" * 64,
                base_id="initial",
                run_id=name,
                algorithm="dpo",
                dataset_digest="ab" * 32,
                created_at=finished,
            ),
            preference_ids=[1, 2, 3],
        )
        record_gate_decision(
            session,
            GateDecisionRow(
                run_id=name,
                checkpoint_id=name,
                baseline_id="initial",
                outcome=outcome,
                guards=guards,
                reasons=["The same text was given for 41% of prompts (limit 10%)."]
                if guard_fails
                else ["All 2 guards hold.", f"The candidate is preferred: {rate:.0%} on 200 held-out prompts."],
                figures={"win_rate": {"rate": rate, "interval": interval, "n": 200, "n_effective": 190.0}},
                created_at=finished,
            ),
        )
        session.add_all(
            Metric(run_id=name, name=metric, step=step, value=value)
            for step in range(10, 101, 10)
            for metric, value in _metrics(step).items()
        )
        _record_verdicts(session, name, rate)
        if outcome is Outcome.promote:
            _serve(session, name, DeploymentReason.gate, minutes_ago=minutes_ago - 2)


def _metrics(step: int) -> dict[str, float]:
    return {
        "loss": 0.693 - 0.004 * step,
        "rewards/margins": 0.011 * step,
        "rewards/accuracies": min(1.0, 0.5 + 0.005 * step),
    }


def _record_verdicts(session: Any, name: str, rate: float) -> None:
    record_judge(session, judge_id="preference_model", kind="preference_model", revision="1")
    prompts = [
        record_prompt(
            session,
            messages=[{"role": "user", "content": f"{HOSTILE if n == 0 else 'Held-out question'} {n}?"}],
            source="test",
            split=Split.heldout,
        )
        for n in range(40)
    ]
    verdicts = [
        Verdict(
            evaluation_id=0,
            prompt_id=prompt.id,
            verdict=VerdictKind.win if n < 40 * rate else VerdictKind.loss,
            score=1.0 if n < 40 * rate else 0.0,
            candidate_length=120.0,
            baseline_length=96.0,
            texts={"candidate": HOSTILE if n > 37 else POLITE, "baseline": CURT},
        )
        for n, prompt in enumerate(prompts)
    ]
    record_evaluation(
        session,
        Evaluation(
            candidate_id=name, baseline="initial", judge_id="preference_model", run_id=name, status=RunStatus.succeeded
        ),
        verdicts,
    )


def _record_failed(database: Database, *, number: int) -> None:
    with database.write() as session:
        error = f"Its process ended with SIGKILL while training. Its last line: {HOSTILE[:80]}"
        session.add(
            _run(number, status=RunStatus.failed, minutes_ago=20, finished_at=now(), error=error, stage="training")
        )


def _record_running(database: Database, data_dir: Path, *, number: int) -> None:
    run = _run(number, status=RunStatus.running, minutes_ago=1, step=72, total_steps=100, stage="training", attempt=1)
    run.stage_started_at = now() - timedelta(seconds=17)
    with database.write() as session:
        session.add(run)
        session.flush()
        session.add_all(
            Metric(run_id=run.id, name=metric, step=step, value=value)
            for step in range(4, 73, 4)
            for metric, value in _metrics(step).items()
        )
    folder = data_dir / "runs" / run.id
    folder.mkdir(parents=True)
    lines = ["10:41:07 step 70 loss 0.418 margin 0.79 lr 9.0e-04", f"10:41:08 step 72 {HOSTILE[:70]}"]
    (folder / "log").write_text("\n".join(lines) + "\n")

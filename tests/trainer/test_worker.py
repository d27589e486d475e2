"""The worker on real parts: a run from the queue to the gate's decision, in its own process or in this one."""

import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from judging import reply, serving
from labelled import record_choices
from project import TrainingProject
from sqlmodel import select

from storage.checkpoints import get_checkpoint, lineage
from storage.comparisons import record_completion
from storage.deployments import record_deployment
from storage.evaluations import evaluations_of, get_gate_decision, scores_of
from storage.preferences import record_labeller
from storage.prompts import record_prompt
from storage.runs import claim_run, mark_dead, metrics_of
from storage.tables import (
    Checkpoint,
    CheckpointKind,
    Completion,
    DeploymentReason,
    Feedback,
    Outcome,
    Preference,
    RunStatus,
    Split,
    TrainingRun,
)
from trainer.bottleneck import adapted_mlps
from trainer.evaluation.compare import Compared, Comparer
from trainer.gate_options import GateOptions
from trainer.plan_file import read_plan
from trainer.policy import load_policy
from trainer.run_reporter import RunReporter
from trainer.score_file import read_scores
from trainer.worker import Worker

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path, tiny_model_dir: Path) -> TrainingProject:
    return TrainingProject.make(tmp_path / "data", tiny_model_dir)


def finish(project: TrainingProject, algorithm: str, **config: object) -> str:
    run_id = project.queue(algorithm, **config)
    run = project.finish(run_id, project.launcher.launch(run_id))
    assert run.status is RunStatus.succeeded, project.log(run_id)
    return run_id


def test_a_dpo_run_ends_with_a_checkpoint_its_lineage_and_a_decision_with_reasons(project: TrainingProject) -> None:
    run_id = finish(project, "dpo", epochs=2, loss_type="sigmoid", loss_weights="1")
    with project.database.read() as session:
        checkpoint = get_checkpoint(session, run_id)
        decision = get_gate_decision(session, run_id)
        assert lineage(session, checkpoint)["preference_ids"] == list(range(1, 41))
        assert [e.baseline for e in evaluations_of(session, run_id)] == ["initial"]
    assert decision is not None and decision.reasons and len(decision.guards) >= 8
    assert checkpoint.kind is CheckpointKind.adapter
    loaded = load_policy(project.data_dir / checkpoint.source, device="cpu")
    assert loaded.digest == checkpoint.digest
    first = project.losses(run_id)[1]
    assert first == pytest.approx(0.6931, abs=1e-3)


def test_an_sft_run_makes_a_full_checkpoint(project: TrainingProject) -> None:
    run_id = finish(project, "sft", epochs=1)
    with project.database.read() as session:
        assert get_checkpoint(session, run_id).kind is CheckpointKind.full
        assert get_gate_decision(session, run_id) is not None


def test_a_reward_model_run_has_no_gate_and_cannot_be_served(project: TrainingProject) -> None:
    run_id = finish(project, "reward_model", epochs=1)
    with project.database.read() as session:
        assert get_checkpoint(session, run_id).kind is CheckpointKind.reward_model
        assert get_gate_decision(session, run_id) is None


@pytest.mark.parametrize("algorithm", ["a_lol", "pro"])
def test_an_offline_run_ends_with_an_adapter_its_lineage_and_a_decision(
    project: TrainingProject, algorithm: str
) -> None:
    run_id = finish(project, algorithm, epochs=2)
    with project.database.read() as session:
        checkpoint = get_checkpoint(session, run_id)
        assert checkpoint.kind is CheckpointKind.adapter
        assert lineage(session, checkpoint)["preference_ids"] == list(range(1, 41))
        assert get_gate_decision(session, run_id) is not None
    assert load_policy(project.data_dir / checkpoint.source, device="cpu").digest == checkpoint.digest


def test_an_offline_run_takes_a_reward_model_of_the_project_as_its_reward(project: TrainingProject) -> None:
    scorer = project.queue("reward_model", epochs=1)
    assert work(project, scorer).status is RunStatus.succeeded
    run = work(project, project.queue("wbc", max_steps=2, reward=scorer, sampling="all_priority"))
    assert run.status is RunStatus.succeeded, run.error
    assert 0 < checkpoint_of(project, run.id).metrics["rewards/mean"] < 1
    refused = work(project, project.queue("wbc", reward="reward_model-0099"))
    assert refused.status is RunStatus.failed
    assert refused.error is not None and "no checkpoint 'reward_model-0099'" in refused.error


def test_a_run_looks_at_the_choices_of_validation_prompts_and_learns_nothing_from_them(
    project: TrainingProject,
) -> None:
    before = work(project, project.queue("dpo", max_steps=4))
    record_choices(project.database, count=50, split=Split.validation, first=1000, seed=1)
    run = work(project, project.queue("dpo", max_steps=4, validate_every=2, keep="best"))
    assert run.status is RunStatus.succeeded, run.error
    assert run.pairs == 40 and run.dataset_digest == before.dataset_digest
    with project.database.read() as session:
        looked = [m.step for m in metrics_of(session, run.id) if m.name == "validation/loss"]
    assert looked == [2, 4]
    assert checkpoint_of(project, run.id).metrics["validation/step"] in (2, 4)


def test_a_run_may_be_judged_by_a_reward_model_on_what_it_writes(project: TrainingProject) -> None:
    record_choices(project.database, count=3, split=Split.validation, first=1000, seed=1)
    scorer = project.queue("reward_model", epochs=1)
    assert work(project, scorer).status is RunStatus.succeeded
    run = work(project, project.queue("sft", max_steps=2, validate_every=1, validate_by=scorer))
    assert run.status is RunStatus.succeeded, run.error
    assert 0 < checkpoint_of(project, run.id).metrics["validation/reward"] < 1


def test_a_ppo_run_fits_a_reward_model_to_the_choices_and_climbs_it(project: TrainingProject) -> None:
    settings = {"max_steps": 2, "rollouts": 8, "batch_size": 4, "ppo_epochs": 1, "max_new_tokens": 4}
    run = work(project, project.queue("ppo", **settings))
    assert run.status is RunStatus.succeeded, run.error
    checkpoint = checkpoint_of(project, run.id)
    assert checkpoint.kind is CheckpointKind.adapter and checkpoint.metrics["rewards/preferences/none"] == 0
    assert load_policy(project.data_dir / checkpoint.source, device="cpu").digest == checkpoint.digest
    with project.database.read() as session:
        assert get_gate_decision(session, run.id) is not None


def test_a_ppo_run_with_rules_as_reward_fits_nothing(project: TrainingProject) -> None:
    settings = {"max_steps": 1, "rollouts": 8, "batch_size": 4, "max_new_tokens": 4, "rewards": "length"}
    settings |= {"filters": '{"script": false, "repetition": false, "shortest": 0}'}
    run = work(project, project.queue("ppo", **settings))
    assert run.status is RunStatus.succeeded, run.error
    assert "rewards/length/mean" in checkpoint_of(project, run.id).metrics


@pytest.mark.parametrize(
    ("method", "loose"), [("ppo", {"kl": 1e-6}), ("rloo", {"kl": 0.0}), ("online_dpo", {"beta": 1e-3})]
)
def test_a_run_that_its_guards_stop_has_failed_with_the_reason_and_no_checkpoint(
    project: TrainingProject, method: str, loose: dict[str, float]
) -> None:
    settings = {"max_steps": 30, "rollouts": 64, "batch_size": 32, "max_new_tokens": 6, "adapter": "full", **loose}
    settings |= {
        "rewards": '{"kind": "match", "must": ["a"], "ignore_case": false}',
        "gold": "length",
        "z_score": False,
    }
    settings |= {"filters": '{"script": false, "repetition": false, "shortest": 0}', "guard_patience": 2}
    run = work(project, project.queue(method, learning_rate=1e-2, **settings))
    assert run.status is RunStatus.failed and run.checkpoint_id is None
    assert run.error is not None and run.error.startswith("Stopped by its guards at step ")
    with project.database.read() as session:
        told = {metric.name: metric.step for metric in metrics_of(session, run.id)}
        assert get_gate_decision(session, run.id) is None
    assert told["guards/kl/used"] == told["gold/length/mean"] == run.step + 1


def test_a_run_whose_rewards_need_no_choices_goes_through_in_a_project_without_any(
    tmp_path: Path, tiny_model_dir: Path
) -> None:
    project = TrainingProject.make(tmp_path / "data", tiny_model_dir, pairs=20)
    with project.database.write() as session:
        for preference in session.exec(select(Preference)):
            session.delete(preference)
    settings = {"max_steps": 1, "rollouts": 8, "batch_size": 4, "max_new_tokens": 4}
    settings |= {"filters": '{"script": false, "repetition": false, "shortest": 0}'}
    run = work(project, project.queue("ppo", **settings, rewards="length"))
    assert run.status is RunStatus.succeeded, run.error
    with project.database.read() as session:
        decision = get_gate_decision(session, run.id)
    assert decision is not None and decision.outcome != "promote"
    refused = work(project, project.queue("ppo", **settings))
    assert refused.error is not None and "nothing to learn from" in refused.error


def test_a_run_without_choices_fails_with_the_reason(tmp_path: Path, tiny_model_dir: Path) -> None:
    project = TrainingProject.make(tmp_path / "data", tiny_model_dir, pairs=0)
    run_id = project.queue("dpo")
    run = project.finish(run_id, project.launcher.launch(run_id))
    assert run.status is RunStatus.failed
    assert run.error is not None and "nothing to learn from" in run.error


def claim(project: TrainingProject, run_id: str) -> TrainingRun:
    with project.database.write() as session:
        return claim_run(session, run_id, pid=os.getpid(), process_started_at=0.0)


def worker_of(
    project: TrainingProject,
    run: TrainingRun,
    stopping: threading.Event | None = None,
    gate: GateOptions = GateOptions(),
) -> Worker:
    return Worker(
        project.database,
        run,
        data_dir=project.data_dir,
        model_source=project.launcher.model_source,
        device="cpu",
        gate_prompts=8,
        stopping=stopping or threading.Event(),
        gate=gate,
    )


def work(project: TrainingProject, run_id: str, stopping: threading.Event | None = None) -> TrainingRun:
    """One attempt at a run in this process."""
    worker_of(project, claim(project, run_id), stopping).work()
    return project.run(run_id)


def serve(project: TrainingProject, checkpoint_id: str) -> None:
    with project.database.write() as session:
        record_deployment(session, checkpoint_id=checkpoint_id, reason=DeploymentReason.person, by="test")


def checkpoint_of(project: TrainingProject, run_id: str) -> Checkpoint:
    with project.database.read() as session:
        return get_checkpoint(session, run_id)


def test_a_run_stopped_during_its_gate_goes_on_with_the_gate(
    project: TrainingProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = threading.Event()
    honest = Comparer.compare

    def told_to_stop(*given: Any, **named: Any) -> Compared:
        stopping.set()
        return honest(*given, **named)

    run_id = project.queue(epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(Comparer, "compare", told_to_stop)
        assert work(project, run_id, stopping).status is RunStatus.interrupted
    digest = checkpoint_of(project, run_id).digest
    assert work(project, run_id).status is RunStatus.succeeded
    assert checkpoint_of(project, run_id).digest == digest


def test_an_adapter_on_a_served_full_checkpoint_names_it_as_its_base_and_is_judged(project: TrainingProject) -> None:
    tuned = project.queue("sft", epochs=1)
    assert work(project, tuned).status is RunStatus.succeeded
    serve(project, tuned)
    run_id = project.queue("dpo", epochs=1, start_from="served")
    run = work(project, run_id)
    assert run.status is RunStatus.succeeded, run.error
    checkpoint = checkpoint_of(project, run_id)
    assert (checkpoint.base_id, checkpoint.started_from_id) == (tuned, tuned)


def test_a_resumed_run_goes_on_from_where_it_began_whatever_is_served_by_then(
    project: TrainingProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = project.queue("dpo", epochs=1)
    assert work(project, first).status is RunStatus.succeeded
    serve(project, first)
    run_id = project.queue("dpo", epochs=2, start_from="served")
    stopping = threading.Event()
    honest = RunReporter.step

    def told_to_stop(*given: Any) -> None:
        stopping.set()
        honest(*given)

    with monkeypatch.context() as patch:
        patch.setattr(RunReporter, "step", told_to_stop)
        assert work(project, run_id, stopping).status is RunStatus.interrupted
    serve(project, "initial")
    assert work(project, run_id).status is RunStatus.succeeded
    assert checkpoint_of(project, run_id).started_from_id == first


def test_a_checkpoint_keeps_what_its_run_measured(project: TrainingProject) -> None:
    run_id = project.queue("reward_model", epochs=1, validation_share=0.25)
    assert work(project, run_id).status is RunStatus.succeeded
    assert checkpoint_of(project, run_id).metrics["validation/pairs"] == 10


def test_a_project_without_heldout_prompts_is_told_before_the_training(tmp_path: Path, tiny_model_dir: Path) -> None:
    project = TrainingProject.make(tmp_path / "data", tiny_model_dir, heldout=0)
    run = work(project, project.queue("dpo", epochs=1))
    assert run.status is RunStatus.failed
    assert run.error is not None and "held-out prompt" in run.error and "import" in run.error
    assert not list((project.data_dir / "checkpoints").glob("*"))


def test_an_attempt_that_another_has_taken_over_writes_nothing_more(project: TrainingProject) -> None:
    run_id = project.queue("dpo", epochs=1)
    run = claim(project, run_id)
    with project.database.write() as session:
        mark_dead(session, run_id, attempt=1, reason="thought dead")
        claim_run(session, run_id, pid=1, process_started_at=1.0)
    stopping = threading.Event()
    stopping.set()
    assert worker_of(project, run, stopping).work() == 2
    assert project.run(run_id).attempt == 2 and project.run(run_id).status is RunStatus.running


@pytest.mark.parametrize("algorithm", ["dpo", "sft"])
def test_a_served_adapter_is_trained_further_where_the_initial_model_has_moved(
    tmp_path: Path, tiny_model_dir: Path, algorithm: str
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    shutil.copytree(tiny_model_dir, here)
    project = TrainingProject.make(tmp_path / "data", here)
    first = project.queue("dpo", epochs=1)
    assert work(project, first).status is RunStatus.succeeded
    serve(project, first)
    here.rename(there)
    project.launcher = replace(project.launcher, model_source=str(there))
    run = work(project, project.queue(algorithm, epochs=1, start_from="served"))
    assert run.status is RunStatus.succeeded, run.error


def test_the_plan_is_written_before_the_candidate_is_sampled_and_stands_in_the_decision(
    project: TrainingProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = project.queue(epochs=1)
    folder = project.data_dir / "runs" / run_id
    honest, found = Comparer._sample, []

    def looked(*given: Any, **named: Any) -> Any:
        found.append(read_plan(folder))
        return honest(*given, **named)

    monkeypatch.setattr(Comparer, "_sample", looked)
    assert work(project, run_id).status is RunStatus.succeeded
    with project.database.read() as session:
        decision = get_gate_decision(session, run_id)
    assert decision is not None and found[0] is not None
    assert decision.figures["plan"] == found[0] and found[0]["prompts"] == 8
    assert decision.figures["scores"] == read_scores(folder) and len(read_scores(folder)["preference"]) == 8
    assert decision.deciding == decision.reasons[: len(decision.deciding)] and decision.deciding
    assert any("none is named (PREFLOOP_GATE_JUDGE)" in reason for reason in decision.reasons)


def test_a_judges_verdicts_are_stored_as_an_evaluation_of_its_own(project: TrainingProject) -> None:
    run_id = project.queue(epochs=1)
    with serving(rule=lambda payload: reply("[[tie]]")) as server:
        gate = GateOptions(judge=f"{server.url}#m", way="text")
        worker_of(project, claim(project, run_id), gate=gate).work()
    assert project.run(run_id).status is RunStatus.succeeded
    with project.database.read() as session:
        found = {e.judge_id.partition("-")[0]: e for e in evaluations_of(session, run_id)}
        assert sorted(found) == ["endpoint", "preference_model"]
        assert [s.score for s in scores_of(session, found["endpoint"].id or 0)] == [0.5] * 8
        decision = get_gate_decision(session, run_id)
    assert decision is not None and "quality" in [guard["name"] for guard in decision.guards]


def test_a_judge_that_is_not_there_ends_no_run(project: TrainingProject, tmp_path: Path) -> None:
    run_id = project.queue(epochs=1)
    worker_of(project, claim(project, run_id), gate=GateOptions(judge=str(tmp_path / "gone"))).work()
    assert project.run(run_id).status is RunStatus.succeeded
    with project.database.read() as session:
        decision = get_gate_decision(session, run_id)
    assert decision is not None and decision.outcome != "promote"
    assert any("could not be heard" in reason for reason in decision.reasons)


def test_a_kto_run_of_thumbs_alone_ends_with_an_adapter_that_is_not_promoted_without_pairs(
    tmp_path: Path, tiny_model_dir: Path
) -> None:
    project = TrainingProject.make(tmp_path / "data", tiny_model_dir, pairs=0)
    with project.database.write() as session:
        record_labeller(session, labeller_id="someone")
        for number in range(6):
            messages = [{"role": "user", "content": f"Told {number}?"}]
            prompt = record_prompt(session, messages=messages, source="chat", split=Split.train)
            assert prompt.id is not None
            answer = record_completion(session, Completion(prompt_id=prompt.id, text=f"Reply {number}."))
            assert answer.id is not None
            thumb = "up" if number % 2 else "down"
            session.add(Feedback(completion_id=answer.id, labeller_id="someone", thumb=thumb))
    run = work(project, project.queue("kto", max_steps=2, adapter="bottleneck"))
    assert run.status is RunStatus.succeeded, run.error
    assert run.pairs == 0 and "thumbs: 3 up, 3 down" in run.dataset_note
    with project.database.read() as session:
        decision = get_gate_decision(session, run.id)
    assert decision is not None and decision.outcome is not Outcome.promote
    served = load_policy(project.data_dir / checkpoint_of(project, run.id).source, device="cpu")
    assert adapted_mlps(served.model)

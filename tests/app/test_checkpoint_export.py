"""An exported checkpoint: transformers loads what was served, and its card tells what it was made of."""

from pathlib import Path

import pytest
import torch
from labelled import record_choices, record_prompts
from recorder import Recorder
from transformers import AutoModelForCausalLM, AutoTokenizer

from app.checkpoint_export import export_checkpoint
from app.project import bind_model
from storage.checkpoints import record_checkpoint
from storage.database import Database
from storage.errors import Conflict, NotFound
from storage.evaluations import record_gate_decision
from storage.runs import queue_run
from storage.tables import Checkpoint, CheckpointKind, GateDecisionRow, Outcome
from trainer.algorithms import train
from trainer.bottleneck import BottleneckSettings, attach_bottleneck
from trainer.configs import parse_config
from trainer.examples import Pair
from trainer.policy import load_policy, save_checkpoint

ID = "dpo-0001"


@pytest.fixture
def project(database: Database, tiny_model_dir: Path, tmp_path: Path) -> Database:
    """A project with one adapter, trained for two steps, which the gate promoted."""
    bind_model(database, initial_model=str(tiny_model_dir), model_source=str(tiny_model_dir))
    record_prompts(database, train=60, heldout=0)
    ids = record_choices(database, count=6)
    (tmp_path / "checkpoints").mkdir()
    pairs = [Pair([{"role": "user", "content": f"Say {i}"}], "YES yes", "12 12", i, f"g{i}") for i in range(4)]
    result = train(
        "dpo",
        config=parse_config("dpo", {"max_steps": 2, "learning_rate": 1e-2, "max_length": 64}),
        examples=pairs,
        policy_source=str(tiny_model_dir),
        output=tmp_path / "checkpoints" / ID,
        work=tmp_path / "work",
        reporter=Recorder(),
        device="cpu",
    )
    with database.write() as session:
        run = queue_run(session, algorithm="dpo", config={}, trigger="person", started_because="test", automatic=False)
        checkpoint = Checkpoint(
            id=ID,
            name=ID,
            kind=CheckpointKind.adapter,
            source=f"checkpoints/{ID}",
            digest=result.digest,
            base_id="initial",
            started_from_id="initial",
            run_id=run.id,
            algorithm="dpo",
            config={"beta": 0.5},
            dataset_digest="d1ge57",
            metrics={"loss": 0.25},
        )
        record_checkpoint(session, checkpoint=checkpoint, preference_ids=ids)
        reasons = ["Guards hold.\nAll of them.", "Better | by far."]
        record_gate_decision(
            session,
            GateDecisionRow(
                run_id=run.id,
                checkpoint_id=ID,
                baseline_id="initial",
                outcome=Outcome.promote,
                reasons=reasons,
                guards=[],
            ),
        )
    return database


def export(database: Database, tmp_path: Path, tiny_model_dir: Path, checkpoint: str = ID) -> Path:
    folder = tmp_path / "out" / "model"
    export_checkpoint(database, checkpoint, folder, data_dir=tmp_path, model_source=str(tiny_model_dir), device="cpu")
    return folder


@pytest.mark.parametrize("checkpoint", [ID, "initial"])
def test_transformers_loads_the_weights_that_were_served(
    project: Database, tmp_path: Path, tiny_model_dir: Path, checkpoint: str
) -> None:
    folder = export(project, tmp_path, tiny_model_dir, checkpoint)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    source = tiny_model_dir if checkpoint == "initial" else tmp_path / "checkpoints" / ID
    served = load_policy(source, device="cpu", base=tiny_model_dir)
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "Say 1"}], return_tensors="pt", return_dict=True)
    with torch.no_grad():
        assert torch.equal(model(**ids).logits, served.model(**ids).logits)


def test_an_adapter_is_merged_into_weights_that_differ_from_the_initial_ones(
    project: Database, tmp_path: Path, tiny_model_dir: Path
) -> None:
    weights = AutoModelForCausalLM.from_pretrained(export(project, tmp_path, tiny_model_dir)).state_dict()
    initial = AutoModelForCausalLM.from_pretrained(tiny_model_dir).state_dict()
    assert weights.keys() == initial.keys()
    assert any(not torch.equal(weights[name], initial[name]) for name in weights)


def test_the_card_tells_data_config_gate_metrics_and_limits(
    project: Database, tmp_path: Path, tiny_model_dir: Path
) -> None:
    told = (export(project, tmp_path, tiny_model_dir) / "README.md").read_text()
    for part in (
        "library_name: transformers",
        f"# {ID}",
        "6 choices of 1 person",
        "`d1ge57`",
        '"beta": 0.5',
        "## Gate: promote",
        "- Guards hold. All of them.",
        "| loss | 0.25 |",
        "## Limits",
    ):
        assert part in told


def test_nothing_is_written_over_and_nothing_is_left_of_an_export_that_failed(
    project: Database, tmp_path: Path, tiny_model_dir: Path
) -> None:
    folder = export(project, tmp_path, tiny_model_dir)
    with pytest.raises(Conflict, match="exists"):
        export(project, tmp_path, tiny_model_dir)
    with pytest.raises(NotFound):
        export(project, tmp_path, tiny_model_dir, "dpo-0009")
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_damaged_checkpoint_is_not_exported(project: Database, tmp_path: Path, tiny_model_dir: Path) -> None:
    weights = tmp_path / "checkpoints" / ID / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(Exception, match=r"adapter_model\.safetensors"):
        export(project, tmp_path, tiny_model_dir)
    assert not (tmp_path / "out").exists()


def test_a_bottleneck_is_refused_since_it_cannot_be_merged(
    project: Database, tiny_model_dir: Path, tmp_path: Path
) -> None:
    start = load_policy(tiny_model_dir, device="cpu")
    save_checkpoint(
        tmp_path / "checkpoints" / "dpo-0002",
        model=attach_bottleneck(start.model, BottleneckSettings()),
        tokenizer=start.tokenizer,
        kind="adapter",
        base=str(tiny_model_dir),
        base_digest=start.digest,
    )
    with project.write() as session:
        session.get_one(Checkpoint, ID).source = "checkpoints/dpo-0002"
    with pytest.raises(Conflict, match="it is a bottleneck adapter, which no plain model can hold") as refused:
        export_checkpoint(
            project, ID, tmp_path / "out", data_dir=tmp_path, model_source=str(tiny_model_dir), device="cpu"
        )
    assert refused.value.hint is not None and "load_policy loads it" in refused.value.hint
    assert not (tmp_path / "out").exists()

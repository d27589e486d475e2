"""A checkpoint that passed the gate and is damaged before the swap: the old one goes on serving, the ledger says why.

Real folders, the real slot and engine, a tiny model.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_model import ASCII, make_tiny_model

from app.main import Application, build_application
from app.settings import Settings
from storage.checkpoints import INITIAL, get_checkpoint, record_checkpoint
from storage.evaluations import record_gate_decision
from storage.runs import queue_run
from storage.tables import Checkpoint, CheckpointKind, GateDecisionRow, Outcome, RunStatus
from trainer.adapters import attach_adapter
from trainer.policy import load_policy, save_checkpoint
from trainer.sampling import Sampling

MAPS = Path("/proc/self/maps")
QUESTION = [{"role": "user", "content": "Go on."}]


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("damaged")
    model = make_tiny_model(folder / "model", ASCII)
    made = build_application(Settings(data_dir=folder / "data", model=str(model), device="cpu"))
    made.bind()
    made.runs.set_schedule({"after_gate": "automatic"})
    assert made.promotion.open() == ""
    yield made
    made.engine.close()
    made.slot.close()
    made.database.close()


def passed_the_gate(application: Application, kind: CheckpointKind) -> Path:
    """A run whose checkpoint waits to be served; its folder."""
    with application.database.write() as session:
        run = queue_run(session, algorithm="dpo", config={}, trigger="person", started_because="test", automatic=False)
    policy, folder = (
        load_policy(application.settings.model, device="cpu"),
        application.settings.data_dir / "checkpoints",
    )
    adapter = kind is CheckpointKind.adapter
    digest = save_checkpoint(
        folder / run.id,
        model=attach_adapter(policy.model, kind="lora", rank=2, alpha=4) if adapter else policy.model,
        tokenizer=policy.tokenizer,
        kind="adapter" if adapter else "full",
        base=application.settings.model,
        base_digest=policy.digest,
    )
    with application.database.write() as session:
        row = Checkpoint(id=run.id, name=run.id, kind=kind, source=f"checkpoints/{run.id}", digest=digest)
        record_checkpoint(session, checkpoint=row, preference_ids=[])
        run.status, run.checkpoint_id = RunStatus.succeeded, run.id
        session.add(run)
        decision = GateDecisionRow(
            run_id=run.id, checkpoint_id=run.id, baseline_id=INITIAL, outcome=Outcome.promote, reasons=["x"], guards=[]
        )
        record_gate_decision(session, decision)
    return folder / run.id


def say(application: Application) -> tuple[str, str]:
    """Who answers, and what."""
    ticket = application.engine.submit([QUESTION], sampling=Sampling(max_new_tokens=24), seeds=[5])
    return ticket.checkpoint_id, ticket.result(60)[0].text


def weights_of(folder: Path) -> Path:
    (found,) = folder.glob("*.safetensors")
    return found.resolve()


def delete(folder: Path) -> None:
    shutil.rmtree(folder)


def delete_weights(folder: Path) -> None:
    weights_of(folder).unlink()


def truncate(folder: Path) -> None:
    weights = weights_of(folder)
    weights.write_bytes(weights.read_bytes()[:-1])


def flip(folder: Path) -> None:
    weights = weights_of(folder)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)


def exchange(folder: Path) -> None:
    """Another checkpoint in its place, whole by its own manifest."""
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"created_at": "2', '"created_at": "3'))


def half_a_manifest(folder: Path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text()[:40])


@pytest.mark.parametrize("kind", [CheckpointKind.adapter, CheckpointKind.full])
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (delete, "folder"),
        (delete_weights, "is missing"),
        (truncate, "SHA-256"),
        (flip, "SHA-256"),
        (exchange, "was recorded"),
        (half_a_manifest, "cannot be read"),
    ],
)
def test_the_old_one_goes_on_serving_and_the_ledger_says_why(
    application: Application, kind: CheckpointKind, damage: Callable[[Path], None], told: str
) -> None:
    before = say(application)
    folder = passed_the_gate(application, kind)
    damage(folder)
    assert application.promotion.adopt_decisions() is not None
    assert say(application) == before and before[0] == INITIAL and before[1]
    entry = application.promotion.ledger()[0]
    assert (entry.deployment.checkpoint_id, entry.state) == (folder.name, "failed")
    assert told in next(event.detail for event in entry.events if event.event == "failed")
    assert application.promotion.adopt_decisions() is None, "it is tried again and again"
    assert application.slot.loaded_ids == [INITIAL], "the broken one is kept"
    with application.database.read() as session:
        assert get_checkpoint(session, folder.name).digest, "its row stays, for whoever asks what became of it"


@pytest.mark.skipif(not MAPS.exists(), reason="what a process has mapped is read from /proc")
@pytest.mark.parametrize("kind", [CheckpointKind.adapter, CheckpointKind.full])
def test_one_that_is_served_needs_its_files_no_more(application: Application, kind: CheckpointKind) -> None:
    folder = passed_the_gate(application, kind)
    application.promotion.promote(folder.name, by="test")
    for source in (folder, Path(application.settings.model)):
        # a file that is mapped and then cut off ends the whole process, this one too
        assert str(weights_of(source)) not in MAPS.read_text()
    before = say(application)
    weights_of(folder).write_bytes(b"")
    assert say(application) == before and before[0] == folder.name
    application.promotion.roll_back(by="test")

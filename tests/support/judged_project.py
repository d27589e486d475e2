"""A project that can be judged for real: a tiny model, a second checkpoint with weights, a small folder of a judge."""

from pathlib import Path

from labelled import record_prompts

from storage.checkpoints import record_checkpoint, record_project
from storage.database import Database
from storage.deployments import record_deployment, record_event
from storage.tables import Checkpoint, CheckpointKind, DeploymentReason

CANDIDATE = "sft-0001"


def record_judged_project(database: Database, data_dir: Path, model: Path, *, heldout: int = 8) -> None:
    """The initial model served, held-out prompts, and CANDIDATE: the same network, its weights a little changed."""
    from trainer.sources import source_digest

    with database.write() as session:
        record_project(session, initial_model=str(model), name="tiny", digest=source_digest(model))
        served, _ = record_deployment(session, checkpoint_id="initial", reason=DeploymentReason.initial, by="test")
        assert served.id is not None
        record_event(session, deployment_id=served.id, event="serving")
    record_prompts(database, train=2, heldout=heldout)
    digest = save_changed(model, data_dir / "checkpoints" / CANDIDATE)
    row = Checkpoint(
        id=CANDIDATE, name=CANDIDATE, kind=CheckpointKind.full, source=f"checkpoints/{CANDIDATE}", digest=digest
    )
    with database.write() as session:
        record_checkpoint(session, checkpoint=row, preference_ids=())


def save_changed(model: Path, folder: Path) -> str:
    """The model with other weights, as a full checkpoint; its digest."""
    import torch

    from trainer.policy import load_policy, save_checkpoint

    policy = load_policy(model, device="cpu")
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in policy.model.parameters():
            weights.add_(0.02 * torch.randn_like(weights))
    return save_checkpoint(folder, model=policy.model, tokenizer=policy.tokenizer, kind="full")


def save_judge(model: Path, folder: Path) -> None:
    """A small reward model: it prefers texts at random, but always the same ones."""
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    from trainer.policy import load_tokenizer, save_checkpoint

    torch.manual_seed(1)
    config = LlamaConfig.from_pretrained(model, num_labels=1)
    save_checkpoint(
        folder, model=LlamaForSequenceClassification(config), tokenizer=load_tokenizer(model), kind="reward_model"
    )

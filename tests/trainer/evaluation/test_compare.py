"""Candidate against served on a real, tiny model: which prompts are used, what is measured, how a stop ends it."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from storage.database import Database
from storage.prompts import record_prompt
from storage.tables import Split
from trainer.dataset import TrainingData
from trainer.evaluation.compare import Comparer, Side, heldout_prompts
from trainer.evaluation.features import features
from trainer.evaluation.samples import HeldoutPrompt
from trainer.examples import Pair
from trainer.gate import GateOutcome
from trainer.policy import Policy, load_policy
from trainer.reporter import Stopped


@pytest.fixture(scope="module")
def policy(tiny_model_dir: Path) -> Policy:
    return load_policy(tiny_model_dir, device="cpu")


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def choices(policy: Policy) -> TrainingData:
    """Four pairs of four prompts."""
    pairs = [Pair([user(f"Question {n}?")], f"Please {n}.", f"No {n}.", n, f"g{n}") for n in range(1, 5)]
    items = [(p.prompt, p.chosen) for p in pairs] + [(p.prompt, p.rejected) for p in pairs]
    table = features(policy, items)
    return TrainingData(pairs, table.reshape(2, 4, -1), (1, 2, 3, 4), 0, "digest", "four pairs")


def comparer(policy: Policy, folder: Path, *, stop_at: str = "never") -> Comparer:
    told = [""]
    return Comparer(
        initial=Side("initial", policy),
        samples_folder=folder,
        tell=lambda stage, step, total: told.__setitem__(0, stage),
        should_stop=lambda: told[0].startswith(stop_at),
    )


@pytest.mark.parametrize("stage", ["sampling dpo-0001", "sampling initial", "measuring", "asking"])
def test_a_stop_ends_the_comparison_as_a_stop_at_every_stage(policy: Policy, tmp_path: Path, stage: str) -> None:
    asked = [HeldoutPrompt(1, [user("Why?")]), HeldoutPrompt(2, [user("How?")])]
    candidate, initial = Side("dpo-0001", replace(policy, digest="another")), Side("initial", policy)
    with pytest.raises(Stopped):
        comparer(policy, tmp_path, stop_at=stage).compare(candidate, initial, data=choices(policy), prompts=asked)


def test_a_model_is_no_nat_from_itself_on_a_conversation_that_had_to_be_shortened(
    policy: Policy, tmp_path: Path
) -> None:
    turns = [user("x" * 30), {"role": "assistant", "content": "y" * 30}] * 3
    asked = [HeldoutPrompt(1, [*turns, user("Why?")])]
    candidate, initial = Side("dpo-0001", policy), Side("initial", policy)
    compared = comparer(policy, tmp_path).compare(candidate, initial, data=choices(policy), prompts=asked)
    kl = next(guard for guard in compared.decision.guards if guard.name == "kl")
    assert kl.value == pytest.approx(0.0, abs=1e-4)
    assert np.isfinite(kl.value)


def test_weights_that_are_not_numbers_are_rejected_with_their_number(policy: Policy, tmp_path: Path) -> None:
    model = copy.deepcopy(policy.model)
    with torch.no_grad():
        model.model.norm.weight[:3] = float("nan")
    asked = [HeldoutPrompt(1, [user("Why?")])]
    candidate, initial = Side("dpo-0001", replace(policy, model=model, digest="broken")), Side("initial", policy)
    decision = comparer(policy, tmp_path).compare(candidate, initial, data=choices(policy), prompts=asked).decision
    assert decision.outcome is GateOutcome.reject
    assert decision.reasons == ["3 numbers of the candidate are NaN or infinite (limit 0)."]


def test_a_heldout_prompt_that_leaves_no_room_for_a_whole_sample_is_not_used(
    policy: Policy, database: Database
) -> None:
    with database.write() as session:
        for text in ("short", "x" * 90, "x" * 100, "x" * 180):
            record_prompt(session, messages=[user(text)], source="test", split=Split.heldout)
    used = heldout_prompts(database, policy, count=10)
    assert sorted(len(p.messages[0]["content"]) for p in used) == [5, 90]

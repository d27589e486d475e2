"""Candidate against served on a real, tiny model: which prompts are used, what is measured, how a stop ends it."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from judging import RuleJudge
from numpy.typing import NDArray

from storage.database import Database
from storage.prompts import record_prompt
from storage.tables import Split
from trainer.dataset import TrainingData
from trainer.evaluation.compare import Compared, Comparer, Side, heldout_prompts
from trainer.evaluation.features import features
from trainer.evaluation.gate_judge import GateJudge
from trainer.evaluation.judges.cache import ReplyCache
from trainer.evaluation.preference_model import CrossFit
from trainer.evaluation.samples import SAMPLES, HeldoutPrompt
from trainer.evaluation.statistics import win_rate
from trainer.examples import Pair
from trainer.gate import GateOutcome
from trainer.gate_options import Rule
from trainer.gate_plan import LOOK
from trainer.policy import Policy, load_policy
from trainer.reporter import Stopped
from trainer.sampling import Generated
from trainer.score_file import PREFERENCE, Scores


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


def worded(count: int = 120) -> list[HeldoutPrompt]:
    return [HeldoutPrompt(n, [user(f"Q{n}?")], ("odd" if n % 2 else "even",)) for n in range(count)]


class Fixed(Comparer):
    """With made-up samples and preference-model scores: `wins` says how often the candidate's are higher."""

    wins: Callable[[int], bool] = staticmethod(lambda prompt: True)
    sampled: ClassVar[list[tuple[str, int]]] = []

    def _sample(self, side: Side, prompts: Sequence[HeldoutPrompt]) -> list[Generated]:
        self.sampled.append((side.id, len(prompts)))
        words = ["one", "two", "three", "four", "five", "six", "seven"]
        return [
            Generated(f"{words[p.id % 7]} {words[k]} {side.id[0] * 3} {p.id}", (5, 1), "stop", -1.0, 2)
            for p in prompts
            for k in range(SAMPLES)
        ]

    def _logprobs(self, prompts: Sequence[HeldoutPrompt], made: Sequence[Generated]) -> list[float]:
        return [-1.0 for _ in made]

    def _score(
        self, crossed: CrossFit, prompts: Sequence[HeldoutPrompt], made: Sequence[Generated]
    ) -> NDArray[np.float64]:
        ours = "ddd" in made[0].text
        return np.array([[1.0 if self.wins(p.id) == ours else 0.0] * SAMPLES for p in prompts])


def gated(
    policy: Policy,
    folder: Path,
    wins: Callable[[int], bool],
    *,
    rule: Rule,
    judge: GateJudge | None = None,
    looked: Callable[[Scores], None] = lambda scores: None,
) -> tuple[Compared, list[tuple[str, int]]]:
    class Told(Fixed):
        sampled: ClassVar[list[tuple[str, int]]] = []

    Told.wins = staticmethod(wins)
    made = Told(
        initial=Side("initial", policy),
        samples_folder=folder,
        tell=lambda *_: None,
        should_stop=lambda: False,
        rule=rule,
        judge=judge,
        looked=looked,
    )
    compared = made.compare(Side("dpo-0001", policy), Side("initial", policy), data=choices(policy), prompts=worded())
    return compared, Told.sampled


def test_the_sequential_rule_takes_no_more_prompts_than_it_needs(policy: Policy, tmp_path: Path) -> None:
    compared, sampled = gated(policy, tmp_path, lambda n: n % 5 != 0, rule=Rule.sequential)
    assert sampled == [("dpo-0001", LOOK), ("initial", LOOK)]
    assert len(compared.verdicts["initial"]) == LOOK
    assert compared.decision.preference is not None and compared.decision.preference.above
    assert compared.figures()["sequential"]["settled_at"] <= LOOK


def test_the_sequential_rule_goes_on_while_it_is_undecided(policy: Policy, tmp_path: Path) -> None:
    compared, sampled = gated(policy, tmp_path, lambda n: n % 2 == 0, rule=Rule.sequential)
    assert [count for side, count in sampled if side == "initial"] == [LOOK, LOOK, 120 - 2 * LOOK]
    assert len(compared.verdicts["initial"]) == 120 and compared.figures()["sequential"]["settled_at"] is None


def test_after_each_look_the_scores_so_far_are_told_in_the_plans_order(policy: Policy, tmp_path: Path) -> None:
    looks: list[Scores] = []
    compared, _ = gated(policy, tmp_path, lambda n: n % 2 == 0, rule=Rule.sequential, looked=looks.append)
    assert [len(look[PREFERENCE]) for look in looks] == [LOOK, 2 * LOOK, 120]
    assert looks[-1] == compared.scores == {PREFERENCE: [1.0, 0.0] * 60}


def test_the_fixed_rule_takes_every_planned_prompt_in_one_look(policy: Policy, tmp_path: Path) -> None:
    compared, sampled = gated(policy, tmp_path, lambda n: True, rule=Rule.fixed)
    assert sampled == [("dpo-0001", 120), ("initial", 120)]
    assert compared.figures()["sequential"] is None


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ReplyCache]:
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        yield cache


def test_the_judge_sees_the_first_sample_of_each_side_and_holds_the_gate(
    policy: Policy, tmp_path: Path, cache: ReplyCache
) -> None:
    rule = RuleJudge(lambda one: "[[B]]" if "ddd" in one.first else "[[A]]")
    judge = GateJudge(rule, None, cache)
    compared, _ = gated(policy, tmp_path, lambda n: True, rule=Rule.fixed, judge=judge)
    assert {ask.comparison.first.split()[1] for ask in rule.asked} == {"one"}
    assert compared.decision.outcome is GateOutcome.reject
    assert "quality judge's win rate for the candidate is 0% on 120 prompts" in compared.decision.reasons[-1]
    assert any("Judge rule, revision 1: 0 won, 120 lost" in line for line in compared.more)


def test_a_judge_that_speaks_for_people_answers_in_the_preference_models_place(
    policy: Policy, tmp_path: Path, cache: ReplyCache
) -> None:
    judge = GateJudge(RuleJudge(lambda one: "[[A]]" if "ddd" in one.first else "[[B]]"), None, cache)
    judge.answers_b = True
    compared, _ = gated(policy, tmp_path, lambda n: False, rule=Rule.fixed, judge=judge)
    assert compared.decision.win_rate is not None and compared.decision.win_rate.rate == 1.0
    assert compared.preference is not None and compared.preference["win_rate"] == 0.0
    assert "quality" not in [guard.name for guard in compared.decision.guards]


def test_a_judge_that_fails_leaves_the_gate_inconclusive_with_the_reason(
    policy: Policy, tmp_path: Path, cache: ReplyCache
) -> None:
    judge = GateJudge(RuleJudge(lambda one: "failed: it is down"), None, cache)
    compared, _ = gated(policy, tmp_path, lambda n: True, rule=Rule.fixed, judge=judge)
    assert compared.decision.outcome is GateOutcome.inconclusive
    assert sum("it is down" in line for line in [*compared.decision.reasons, *compared.more]) == 1


def test_the_charts_win_rate_is_the_gates(policy: Policy, tmp_path: Path) -> None:
    compared, _ = gated(policy, tmp_path, lambda n: n % 3 != 0, rule=Rule.fixed)
    stored = [verdict.score for verdict in compared.verdicts["initial"] if verdict.score is not None]
    assert compared.decision.win_rate == win_rate(stored)
    assert compared.preference is not None and compared.preference["win_rate"] == win_rate(stored).rate


def test_a_judge_that_fails_is_told_of_even_where_something_else_decided(
    policy: Policy, tmp_path: Path, cache: ReplyCache
) -> None:
    judge = GateJudge(RuleJudge(lambda one: "failed: it is down"), None, cache)
    compared, _ = gated(policy, tmp_path, lambda n: False, rule=Rule.fixed, judge=judge)
    assert compared.decision.outcome is GateOutcome.reject
    assert sum("it is down" in line for line in [*compared.decision.reasons, *compared.more]) == 1

"""Candidate against the served and the initial model on held-out prompts: samples, guards, preference model, verdicts.

Reads prompts and gives back rows to store; the decision itself is trainer/gate.py's.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.database import Database
from storage.errors import Invalid
from storage.prompts import offered_prompts
from storage.tables import Split, Verdict, VerdictKind
from trainer.dataset import TrainingData
from trainer.decoding import Generated
from trainer.evaluation.features import features
from trainer.evaluation.nesting import nested
from trainer.evaluation.preference_model import FOLDS, CrossFit, cross_fit
from trainer.evaluation.samples import SAMPLES, SAMPLING, HeldoutPrompt, fit_prompt, sample
from trainer.gate import GateDecision, decide, pairing_scores
from trainer.guards import GuardInputs, Sample, finite, run_guards
from trainer.policy import Policy
from trainer.prompting import PromptError
from trainer.reporter import Stopped
from trainer.tensors import broken_numbers, completion_logprobs

BATCH = 8  # the logits of 160 tokens of a vocabulary of 150,000 are 100 MB a row


@dataclass(frozen=True)
class Side:
    """A model under comparison, by the id people know it by."""

    id: str
    policy: Policy


@dataclass(frozen=True)
class Compared:
    """The gate's decision and, per baseline, the verdicts behind it."""

    decision: GateDecision
    verdicts: dict[str, list[Verdict]]
    judge_revision: str

    def figures(self) -> dict[str, Any]:
        accuracy, rate = self.decision.preference_accuracy, self.decision.win_rate
        return {
            "preference_accuracy": asdict(accuracy) | {"rate": accuracy.rate} if accuracy else None,
            "win_rate": asdict(rate) if rate else None,
        }


class Comparer:
    """One gate. `tell(stage, step, total)` reports progress, `should_stop` ends it with `Stopped`."""

    def __init__(
        self,
        *,
        initial: Side,
        samples_folder: Path,
        tell: Callable[[str, int, int], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._initial = initial
        self._folder = samples_folder
        self._tell = tell
        self._should_stop = should_stop

    def compare(
        self, candidate: Side, served: Side, *, data: TrainingData, prompts: Sequence[HeldoutPrompt]
    ) -> Compared:
        """Sample, guard, score and decide. `served` may be the initial model. Broken weights are not sampled from."""
        if broken := broken_numbers(candidate.policy.model):
            guards = [finite(GuardInputs((), broken_numbers=broken))]
            return Compared(decide(guards, None, None, len(data.pairs)), {}, data.digest)
        sides = {side.id: side for side in (candidate, self._initial, served)}
        texts = {side.id: self._sample(side, prompts) for side in sides.values()}
        guards = run_guards(
            self._inputs(prompts, texts[candidate.id], own=False),
            self._inputs(prompts, texts[self._initial.id], own=True),
            prompts=["\n".join(m["content"] for m in p.messages) for p in prompts],
            chosen_lengths=[len(pair.chosen) for pair in data.pairs],
        )
        crossed = _cross_fit(data)
        verdicts: dict[str, list[Verdict]] = {}
        scores: list[float] | None = None
        if crossed is not None:
            scored = {name: self._score(crossed, prompts, made) for name, made in texts.items()}
            for baseline in dict.fromkeys((served.id, self._initial.id)):
                won = pairing_scores(scored[candidate.id], scored[baseline])
                verdicts[baseline] = _verdicts(prompts, won, texts[candidate.id], texts[baseline])
                scores = scores or won
        accuracy = crossed.figures if crossed is not None else None
        decision = decide(guards, accuracy, scores, len(data.pairs))
        return Compared(decision, verdicts, data.digest)

    def _sample(self, side: Side, prompts: Sequence[HeldoutPrompt]) -> list[Generated]:
        stage = f"sampling {side.id} on {len(prompts)} held-out prompts"
        return sample(
            side.policy,
            prompts,
            folder=self._folder,
            on_progress=lambda step, total: self._tell(stage, step, total),
            should_stop=self._should_stop,
        )

    def _inputs(self, prompts: Sequence[HeldoutPrompt], made: Sequence[Generated], *, own: bool) -> GuardInputs:
        under_initial = [g.logprob for g in made] if own else self._logprobs(prompts, made)
        rows = [
            Sample(g.text, g.tokens, g.finish_reason == "length", g.logprob, initial)
            for g, initial in zip(made, under_initial, strict=True)
        ]
        return GuardInputs([rows[i : i + SAMPLES] for i in range(0, len(rows), SAMPLES)])

    def _logprobs(self, prompts: Sequence[HeldoutPrompt], made: Sequence[Generated]) -> list[float]:
        """Summed log-probability of each completion under the initial model, after the prompt it was sampled after."""
        policy = self._initial.policy
        fitted = [fit_prompt(policy, prompt) for prompt in prompts]

        def tell(step: int, total: int) -> None:
            self._tell("measuring the distance to the initial model", step, total)
            if self._should_stop():
                raise Stopped(f"stopped after {step} of {total} log-probabilities")

        return completion_logprobs(
            policy.model,
            [(fitted[i // SAMPLES], list(g.token_ids)) for i, g in enumerate(made)],
            pad_id=policy.tokenizer.pad_token_id or 0,
            batch_size=BATCH,
            on_progress=tell,
        )

    def _score(
        self, crossed: CrossFit, prompts: Sequence[HeldoutPrompt], made: Sequence[Generated]
    ) -> NDArray[np.float64]:
        """Preference-model scores [P, SAMPLES] of the samples."""
        items = [(prompts[i // SAMPLES].messages, g.text) for i, g in enumerate(made)]
        table = features(
            self._initial.policy,
            items,
            on_progress=lambda step, total: self._tell("asking the preference model", step, total),
            should_stop=self._should_stop,
        )
        return crossed.score(table).reshape(len(prompts), SAMPLES)


def heldout_prompts(database: Database, initial: Policy, *, count: int) -> list[HeldoutPrompt]:
    """The gate's prompts: `count` of the held-out ones that fit the model, the smaller set within the larger.

    Raises Invalid where there are none.
    """
    with database.read() as session:
        stored = offered_prompts(session, splits=[Split.heldout])
    prompts = [HeldoutPrompt(p.id, p.messages) for p in stored if p.id is not None]
    fitting = [prompt for prompt in prompts if _fits(initial, prompt)]
    if not fitting:
        raise Invalid(
            f"None of the {len(prompts)} held-out prompts leaves the model room for {SAMPLING.max_new_tokens} tokens, "
            "so no checkpoint can be judged.",
            hint="Import shorter held-out prompts: prefloop import --format prompts FILE.",
        )
    return nested(fitting, count)


def _fits(policy: Policy, prompt: HeldoutPrompt) -> bool:
    try:
        fit_prompt(policy, prompt)
    except PromptError:
        return False
    return True


def _cross_fit(data: TrainingData) -> CrossFit | None:
    """None where the pairs are of fewer groups than folds need."""
    if len(set(data.groups)) < 2:
        return None
    folds = min(FOLDS, len(set(data.groups)))
    return cross_fit(data.features[0], data.features[1], data.groups, folds=folds)


def _verdicts(
    prompts: Sequence[HeldoutPrompt],
    scores: Sequence[float],
    candidate: Sequence[Generated],
    baseline: Sequence[Generated],
) -> list[Verdict]:
    rows = []
    for i, (prompt, score) in enumerate(zip(prompts, scores, strict=True)):
        ours, theirs = (made[i * SAMPLES : (i + 1) * SAMPLES] for made in (candidate, baseline))
        kind = VerdictKind.win if score > 0.5 else VerdictKind.loss if score < 0.5 else VerdictKind.tie
        rows.append(
            Verdict(
                evaluation_id=0,
                prompt_id=prompt.id,
                verdict=kind,
                score=score,
                candidate_length=fmean(len(g.text) for g in ours),
                baseline_length=fmean(len(g.text) for g in theirs),
                texts={"candidate": ours[0].text, "baseline": theirs[0].text},
            )
        )
    return rows

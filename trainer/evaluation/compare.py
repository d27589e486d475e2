"""Candidate against the served and the initial model on held-out prompts: samples, guards, preference model, judge.

Reads prompts and gives back rows to store; the decision itself is trainer/gate.py's. By the sequential rule the prompts
are taken in blocks, in the plan's order, and no more of them than it takes to decide.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.database import Database
from storage.errors import Invalid
from storage.prompts import offered_prompts
from storage.tables import Split, Verdict
from trainer.dataset import TrainingData
from trainer.evaluation.features import features
from trainer.evaluation.gate_judge import GateJudge, JudgeFindings
from trainer.evaluation.nesting import nested
from trainer.evaluation.preference_model import FOLDS, CrossFit, cross_fit
from trainer.evaluation.samples import SAMPLES, SAMPLING, HeldoutPrompt, fit_prompt, sample
from trainer.evaluation.verdict_rows import cases_of, outcomes_of, preference_verdicts
from trainer.gate import QUALITY_LEAST, GateDecision, decide, pairing_scores
from trainer.gate_options import Rule
from trainer.gate_plan import LOOK
from trainer.gate_report import preference_figures, report
from trainer.gate_rules import Finding, find
from trainer.guards import GuardInputs, GuardResult, Sample, finite, run_guards
from trainer.policy import Policy
from trainer.prompting import PromptError
from trainer.reporter import Stopped
from trainer.sampling import Generated
from trainer.score_file import PREFERENCE, QUALITY, Scores
from trainer.tensors import broken_numbers, completion_logprobs

BATCH = 8  # the logits of 160 tokens of a vocabulary of 150,000 are 100 MB a row
PREFERENCE_MODEL = "preference_model"  # as a judge and a rater


@dataclass(frozen=True)
class Side:
    """A model under comparison, by the id people know it by."""

    id: str
    policy: Policy


@dataclass(frozen=True)
class Compared:
    """The gate's decision, per baseline the verdicts behind it, and what else was seen (`more`, in sentences)."""

    decision: GateDecision
    verdicts: dict[str, list[Verdict]]
    judge_revision: str
    judged: JudgeFindings | None = None
    more: list[str] = field(default_factory=list)
    preference: dict[str, Any] | None = None  # figures of the preference model's verdicts on the served checkpoint
    scores: Scores = field(default_factory=dict)  # the candidate's per prompt, in the plan's order (score_file.py)

    def figures(self) -> dict[str, Any]:
        accuracy, found = self.decision.preference_accuracy, self.decision.preference
        return {
            "preference_accuracy": asdict(accuracy) | {"rate": accuracy.rate} if accuracy else None,
            "win_rate": asdict(found.rate) if found else None,
            "sequential": _sequential(found),
            "preference_model": self.preference,
            "judge": self.judged.figures | {"problem": self.judged.problem} if self.judged else None,
        }


@dataclass
class _Seen:
    """What has been taken so far: prompts, and per side its texts and their preference-model scores [P, SAMPLES]."""

    prompts: list[HeldoutPrompt] = field(default_factory=list)
    texts: dict[str, list[Generated]] = field(default_factory=dict)
    scored: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    judged: JudgeFindings | None = None


class Comparer:
    """One gate. `tell(stage, step, total)` reports progress, `should_stop` ends it with `Stopped`.

    judge: also asked about the candidate's texts; where it answers question (b) it stands in the preference model's
    place there, and its verdicts are no guard of quality. looked: told the scores so far after each look.
    """

    def __init__(
        self,
        *,
        initial: Side,
        samples_folder: Path,
        tell: Callable[[str, int, int], None],
        should_stop: Callable[[], bool],
        rule: Rule = Rule.fixed,
        judge: GateJudge | None = None,
        looked: Callable[[Scores], None] = lambda scores: None,
    ) -> None:
        self._initial = initial
        self._folder = samples_folder
        self._tell = tell
        self._should_stop = should_stop
        self._rule = rule
        self._judge = judge
        self._looked = looked

    def compare(
        self, candidate: Side, served: Side, *, data: TrainingData, prompts: Sequence[HeldoutPrompt]
    ) -> Compared:
        """Sample, guard, score and decide. `served` may be the initial model. Broken weights are not sampled from."""
        if broken := broken_numbers(candidate.policy.model):
            guards = [finite(GuardInputs((), broken_numbers=broken))]
            return Compared(decide(guards, None, None, len(data.pairs), rule=self._rule), {}, data.digest)
        crossed = _cross_fit(data)
        seen = _Seen()
        # without a preference model nothing can be decided early
        block = LOOK if self._rule is Rule.sequential and crossed is not None else len(prompts)
        for start in range(0, len(prompts), block):
            self._take(seen, prompts[start : start + block], candidate, served, crossed)
            self._looked(self._all_scores(seen, candidate.id, served.id))
            if self._settled(seen, candidate.id, served.id):
                break
        guards = run_guards(
            self._inputs(seen.prompts, seen.texts[candidate.id], own=False),
            self._inputs(seen.prompts, seen.texts[self._initial.id], own=True),
            prompts=["\n".join(m["content"] for m in p.messages) for p in seen.prompts],
            chosen_lengths=[len(pair.chosen) for pair in data.pairs],
        )
        return self._concluded(seen, guards, candidate.id, served.id, crossed, data)

    def _take(
        self,
        seen: _Seen,
        prompts: Sequence[HeldoutPrompt],
        candidate: Side,
        served: Side,
        crossed: CrossFit | None,
    ) -> None:
        """Sample and score the next prompts, and ask the judge about them."""
        seen.prompts += prompts
        for side in {side.id: side for side in (candidate, self._initial, served)}.values():
            made = self._sample(side, prompts)
            seen.texts.setdefault(side.id, []).extend(made)
            if crossed is not None:
                new = self._score(crossed, prompts, made)
                before = seen.scored.get(side.id)
                seen.scored[side.id] = new if before is None else np.concatenate([before, new])
        if self._judge is not None:
            seen.judged = self._judge.judge(
                cases_of(seen.prompts, seen.texts[candidate.id], seen.texts[served.id], samples=self._judge.samples),
                candidate=candidate.id,
                baseline=served.id,
                tell=self._tell,
                should_stop=self._should_stop,
            )

    def _settled(self, seen: _Seen, candidate: str, served: str) -> bool:
        """Whether the sequential rule needs no more prompts: the candidate is worse, or better and no less sound."""
        scores = self._scores(seen, candidate, served)
        if self._rule is Rule.fixed or not scores:
            return False
        found, quality = find(scores, self._rule), self._quality(seen)
        return found.below or (found.above and (quality is None or quality.above))

    def _scores(self, seen: _Seen, candidate: str, served: str) -> list[float] | None:
        """Question (b): the judge's where it speaks for people, else the preference model's."""
        if self._judge is not None and self._judge.answers_b:
            return None if seen.judged is None or seen.judged.problem else seen.judged.scores
        if not seen.scored:
            return None
        return pairing_scores(seen.scored[candidate], seen.scored[served])

    def _quality(self, seen: _Seen) -> Finding | None:
        scores = self._quality_scores(seen)
        return find(scores, self._rule, least=QUALITY_LEAST) if scores else None

    def _quality_scores(self, seen: _Seen) -> list[float]:
        """None of them without a judge of quality whose verdicts count."""
        if self._judge is None or self._judge.answers_b or seen.judged is None or seen.judged.problem:
            return []
        return seen.judged.scores

    def _all_scores(self, seen: _Seen, candidate: str, served: str) -> Scores:
        found = {PREFERENCE: self._scores(seen, candidate, served) or [], QUALITY: self._quality_scores(seen)}
        return {name: scores for name, scores in found.items() if scores}

    def _concluded(
        self,
        seen: _Seen,
        guards: Sequence[GuardResult],
        candidate: str,
        served: str,
        crossed: CrossFit | None,
        data: TrainingData,
    ) -> Compared:
        verdicts: dict[str, list[Verdict]] = {}
        for baseline in dict.fromkeys((served, self._initial.id)) if crossed is not None else ():
            won = pairing_scores(seen.scored[candidate], seen.scored[baseline])
            verdicts[baseline] = preference_verdicts(seen.prompts, won, seen.texts[candidate], seen.texts[baseline])
        decision = decide(
            guards,
            crossed.figures if crossed is not None else None,
            self._scores(seen, candidate, served),
            len(data.pairs),
            rule=self._rule,
            quality=self._quality(seen),
            unjudged=seen.judged.problem if seen.judged else "",
        )
        preference = None
        if verdicts:
            names = {"candidate": candidate, "baseline": served, "rater": PREFERENCE_MODEL}
            preference = preference_figures(outcomes_of(verdicts[served], seen.prompts, **names))
        figures = seen.judged.figures if seen.judged and seen.judged.figures else None
        standing = self._judge.planned().note if self._judge else ""
        problem = seen.judged.problem if seen.judged else ""
        notes = [one for one in dict.fromkeys((problem, standing)) if one and one not in decision.reasons]
        more = report(preference, figures, notes=notes, one_look=self._rule is Rule.fixed)
        scores = self._all_scores(seen, candidate, served)
        return Compared(decision, verdicts, data.digest, seen.judged, more, preference, scores)

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
    prompts = [HeldoutPrompt(p.id, p.messages, tuple(p.tags), p.reference) for p in stored if p.id is not None]
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


def _sequential(found: Finding | None) -> dict[str, Any] | None:
    """Of a test that went on: its evidence for the candidate, and after how many prompts it was decided."""
    if found is None or found.rule is Rule.fixed:
        return None
    return {"evidence": found.evidence, "settled_at": found.settled_at, "alpha": found.alpha}

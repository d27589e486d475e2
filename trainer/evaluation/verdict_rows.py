"""Verdicts as rows to store, and stored verdicts as the outcomes that every figure is made of.

One owner for both ways, so that a chart of stored verdicts and the gate's reasons cannot differ. Leaves out who judged.
"""

from collections.abc import Sequence
from statistics import fmean

from storage.tables import Verdict, VerdictKind
from trainer.evaluation.outcomes import Outcome
from trainer.evaluation.protocol import Case, Judged, PromptVerdict, mean_score, together
from trainer.evaluation.samples import SAMPLES, HeldoutPrompt
from trainer.sampling import Generated


def preference_verdicts(
    prompts: Sequence[HeldoutPrompt],
    scores: Sequence[float],
    candidate: Sequence[Generated],
    baseline: Sequence[Generated],
) -> list[Verdict]:
    """Of the preference model: the share of pairings won per prompt, and the first sample of each side to read."""
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


def judged_verdicts(judged: Judged) -> list[Verdict]:
    """Of a judge: one row per prompt, its score and lengths the mean over samples, with all that was said."""
    return [_judged_verdict(judgements) for judgements in judged.by_prompt().values()]


def _judged_verdict(judgements: Sequence[PromptVerdict]) -> Verdict:
    cases = [one.case for one in judgements]
    return Verdict(
        evaluation_id=0,
        prompt_id=int(cases[0].prompt),
        verdict=VerdictKind(together(judgements).value),
        score=mean_score(judgements),
        candidate_length=fmean(len(case.candidate) for case in cases),
        baseline_length=fmean(len(case.baseline) for case in cases),
        texts={
            "candidate": cases[0].candidate,
            "baseline": cases[0].baseline,
            "replies": [
                {"candidate_first": s.candidate_first, "said": s.reading.said, "text": s.text, "keys": list(s.keys)}
                for one in judgements
                for s in one.shown
            ],
        },
    )


def cases_of(
    prompts: Sequence[HeldoutPrompt], candidate: Sequence[Generated], baseline: Sequence[Generated], *, samples: int
) -> list[Case]:
    """For a judge: the first `samples` of each side per prompt, unselected, first against first and so on."""
    return [
        Case(str(p.id), p.messages, candidate[at].text, baseline[at].text, p.reference, p.tags)
        for i, p in enumerate(prompts)
        for at in range(i * SAMPLES, i * SAMPLES + samples)
    ]


def outcomes_of(
    verdicts: Sequence[Verdict], prompts: Sequence[HeldoutPrompt], *, candidate: str, baseline: str, rater: str
) -> list[Outcome]:
    """Verdicts as rows of trainer/evaluation/pair_report.py, with the tags of their prompts."""
    tags = {prompt.id: prompt.tags for prompt in prompts}
    return [
        Outcome(
            prompt=str(verdict.prompt_id),
            model_a=candidate,
            model_b=baseline,
            score_a=verdict.score,
            flip=verdict.verdict is VerdictKind.flip,
            length_a=verdict.candidate_length,
            length_b=verdict.baseline_length,
            rater=rater,
            tags=tuple(tags.get(verdict.prompt_id, ())),
        )
        for verdict in verdicts
    ]

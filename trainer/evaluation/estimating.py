"""What an evaluation will ask for and cost, before any text is there. Free of torch; asks nobody.

Texts that are still to be sampled are reckoned at their longest, stored replies and identical texts are not known
yet, so calls and tokens are at most these. Money is told twice: likely, and the most that it can be whatever the
tokenizer (budget.py). Once the texts are there, the evaluation tells the same anew, exactly (protocol.estimate_cases).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from trainer.evaluation.judges.base import Ask, Comparison, Kind, Messages
from trainer.evaluation.judges.budget import CHARACTERS_PER_TOKEN, Estimate, Prices, estimate
from trainer.evaluation.judges.endpoint import MAX_TOKENS
from trainer.evaluation.judges.rubric import Form, Rubric, RubricError, judge_messages, new_fence
from trainer.starter.judge import form as starters

FORMS: dict[Kind, Form] = {"endpoint": "json", "local": "word"}
WIDEST = "\U0001f642"  # a character of four bytes, each of which may be a token


@dataclass(frozen=True)
class Expected:
    """One prompt of the evaluation; `baseline` where its text is known already."""

    messages: Messages
    reference: str | None = None
    baseline: str | None = None


def estimate_before(
    prompts: Sequence[Expected], *, kind: Kind, rubric: Rubric | None, prices: Prices, sample_tokens: int
) -> Estimate:
    """Of judging `prompts`, in both orders where the judge sees one. `sample_tokens` is the longest sample's length.

    The rubric is needed for the kinds that are asked by one.
    """
    if kind in ("reward_model", "similarity"):
        return Estimate(len(prompts))
    likely = "x" * (CHARACTERS_PER_TOKEN * sample_tokens)
    written = MAX_TOKENS["json"] if kind == "endpoint" else 0
    found = estimate(_calls(prompts, kind, rubric, likely), max_output=written, prices=prices)
    if not found.cost or rubric is None:
        return found
    longest = estimate(_calls(prompts, kind, rubric, WIDEST * rubric.longest_text), max_output=written, prices=prices)
    return replace(found, most=longest.most)


def _calls(
    prompts: Sequence[Expected], kind: Kind, rubric: Rubric | None, sample: str
) -> Iterator[list[Mapping[str, str]]]:
    """The messages of every call; what the rubric does not fit costs nothing and is told as invalid later."""
    for prompt in prompts:
        given = Comparison(prompt.messages, sample, prompt.baseline or sample, prompt.reference)
        for one in (given, given.changed()):
            if kind == "starter":
                asked = starters.judge_messages(one.messages, one.first, one.second)
                yield [{"role": turn["role"], "content": turn["content"]} for turn in asked]
                continue
            if rubric is None:
                raise ValueError(f"a judge of the kind {kind!r} is asked by a rubric; give one")
            try:
                yield list(judge_messages(rubric, Ask(one, new_fence()), FORMS[kind]))
            except RubricError:
                continue

"""Scores of a reward model: of completions, as an accuracy on rankings, and brought to one scale.

Leaves out how it is trained (`reward_model.py`), and scores as a reward (`trainer/rewards`).
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import torch

from trainer.examples import Pair, Ranking, encode, length_limit
from trainer.generation import generate
from trainer.losses.normalisation import to_unit
from trainer.policy import Policy
from trainer.prompting import Messages
from trainer.reporter import Reporter, Stopped
from trainer.sampling import Sampling
from trainer.tensors import pad_rows

SCALE = "score_scale"  # in the model's config: (gain, offset) that give scores mean 0 and spread 1


def score(
    model: Any,
    tokenizer: Any,
    completions: Sequence[tuple[Messages, str]],
    *,
    max_length: int,
    batch_size: int = 16,
    raw: bool = False,
) -> list[float]:
    """The score of each (prompt, completion), in order, without gradient: normalised where the model was.

    Raw, the difference of two is the log-odds of a preference, which normalised ones no longer are.
    """
    scores: list[float] = []
    gain, offset = (1.0, 0.0) if raw else getattr(model.config, SCALE, (1.0, 0.0))
    for begin in range(0, len(completions), batch_size):
        encoded = [
            encode(tokenizer, prompt, [text], max_length=max_length)
            for prompt, text in completions[begin : begin + batch_size]
        ]
        rows = pad_rows([(one.prompt, one.completions[0]) for one in encoded], pad_id=tokenizer.pad_token_id)
        with torch.no_grad():
            logits = model(
                input_ids=rows["input_ids"].to(model.device),
                attention_mask=rows["attention_mask"].to(model.device),
                use_cache=False,
            ).logits
        scores += (gain * logits.float().squeeze(-1) + offset).tolist()
    return scores


def accuracy(
    model: Any, tokenizer: Any, examples: Sequence[Pair | Ranking], max_length: int, batch_size: int
) -> tuple[float, int]:
    """Of all pairs with a better and a worse completion: the share that scores strictly so, and how many there are.

    An equal score is an error. 0 of 0 where nothing is better than another.
    """
    pairs = [pair for example in examples for pair in _ordered(example)]
    sides = [(prompt, text) for prompt, *texts in pairs for text in texts]
    scores = score(model, tokenizer, sides, max_length=max_length, batch_size=batch_size)
    right = sum(better > worse for better, worse in zip(scores[::2], scores[1::2], strict=True))
    return right / max(1, len(pairs)), len(pairs)


def _ordered(example: Pair | Ranking) -> list[tuple[Messages, str, str]]:
    """(prompt, better, worse) for every two completions of which one is better."""
    if isinstance(example, Pair):
        return [(example.prompt, example.chosen, example.rejected)]
    worth = zip(example.completions, example.rewards, strict=True)
    return [
        (example.prompt, *((one, two) if first > second else (two, one)))
        for (one, first), (two, second) in combinations(worth, 2)
        if first != second
    ]


def normalise(
    model: Any, policy: Policy, prompts: Sequence[Messages], *, max_length: int, seed: int, reporter: Reporter
) -> tuple[float, float]:
    """Give scores mean 0 and spread 1 on one completion of `policy` for each prompt; returns what they were before.

    So that a KL weight means the same with every reward model (Ziegler et al. 2019, 2.2). Gain and offset go into the
    model's config, where `score` finds them. Raises Stopped; ValueError where all scores are equal.
    """
    seeds = torch.randint(2**31, (len(prompts),), generator=torch.Generator().manual_seed(seed)).tolist()
    stage = "sampling the initial model"
    reporter.stage(stage, 0, len(prompts))
    made = generate(
        policy,
        prompts,
        sampling=Sampling(temperature=1.0, max_new_tokens=min(64, max_length // 2)),
        seeds=seeds,
        on_progress=lambda done, total: reporter.stage(stage, done, total),
        should_stop=reporter.should_stop,
    )
    if any(one.finish_reason == "cancelled" for one in made):
        raise Stopped("stopped while the initial model was sampled; a run that goes on samples it again")
    sides = [(prompt, one.text) for prompt, one in zip(prompts, made, strict=True)]
    limit = length_limit(model, max_length)
    scores = torch.tensor(score(model, policy.tokenizer, sides, max_length=limit, raw=True))
    setattr(model.config, SCALE, to_unit(scores))
    return float(scores.mean()), float(scores.std())

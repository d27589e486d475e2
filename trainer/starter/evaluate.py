"""Measures a starter model and its judge on held-out questions: every figure with its number of cases and its bar.

    from trainer.starter.evaluate import evaluate
    from trainer.starter.figures import format_figures
    print(format_figures(evaluate(WEIGHTS, JUDGE_WEIGHTS)))

Right and well-formed are the plain text checks of `check.py`; styles are those of `recognise`, at temperature 1.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from trainer.generation import generate
from trainer.sampling import Sampling
from trainer.starter.check import is_well_formed, passes
from trainer.starter.figures import Figure, share
from trainer.starter.grammar.recognise import STYLE_NAMES, recognise
from trainer.starter.heldout import (
    Question,
    hand_lists,
    hand_question,
    heldout_prompts,
    long_lists,
    short_lists,
    steered_facts,
    sums,
    texts,
)
from trainer.starter.judge.measure import judge_figures
from trainer.starter.prompts import Prompt
from trainer.starter.sampler import Sampler

TIMED, TIMED_TOKENS = 60, 48  # pairs of completions that are timed, tokens each
PROBES = 5  # prompts of which a hundred completions are compared
TAGS = (
    "fact",
    "yes or no",
    "advice",
    "recipe",
    "gift",
    "small talk",
    "unsafe",
    "out of domain",
    "sum",
    "list",
    "text",
    "two turns",
)


def evaluate(model_dir: Path, judge_dir: Path | None = None, *, n: int = 500, seed: int = 0) -> list[Figure]:
    """Every figure of a model folder, at most `n` cases each, and the judge's where there is one."""
    sampler = Sampler(model_dir)
    prompts = heldout_prompts(n, seed)
    figures = chat_figures(sampler, prompts, seed)
    figures += distinct_figures(sampler, prompts, seed)
    figures += grounded_figures(sampler, n, seed)
    figures += [_obeyed(sampler, n, seed), speed_figure(sampler, prompts)]
    return figures + (judge_figures(judge_dir, n, seed) if judge_dir is not None else [])


def chat_figures(sampler: Sampler, prompts: Sequence[Prompt], seed: int) -> list[Figure]:
    """Right and well-formed, greedy and at temperature 1, over all and by tag; styles at temperature 1."""
    asked = [prompt["messages"] for prompt in prompts]
    greedy, sampled = sampler.complete(asked, 0.0, seed), sampler.complete(asked, 1.0, seed)
    right = [_right(prompt, text) for prompt, text in zip(prompts, greedy, strict=True)]
    right_sampled = [_right(prompt, text) for prompt, text in zip(prompts, sampled, strict=True)]
    figures = [
        share("well-formed, greedy", [is_well_formed(text) for text in greedy], 0.99),
        share("right, greedy", right, 0.95),
        share("well-formed, temperature 1", [is_well_formed(text) for text in sampled]),
        share("right, temperature 1", right_sampled, 0.80),
    ]
    for tag in TAGS:
        chosen = [ok for ok, prompt in zip(right, prompts, strict=True) if tag in prompt["tags"]]
        figures += [share(f"right, greedy, {tag}", chosen)] if chosen else []
    plain = [text for prompt, text in zip(prompts, sampled, strict=True) if "system" not in prompt["tags"]]
    figures += [
        share(f"style, temperature 1, {name}", [recognise(text) == name for text in plain], 0.08)
        for name in STYLE_NAMES
    ]
    return figures


def _right(prompt: Prompt, text: str) -> bool:
    return passes(prompt["check"], text)


def distinct_figures(sampler: Sampler, prompts: Sequence[Prompt], seed: int) -> list[Figure]:
    """How many of a hundred completions of one prompt differ, at temperature 1; the mean of a few prompts."""
    open_ones = [prompt for prompt in prompts if prompt["context"] is None and len(prompt["messages"]) == 1][:PROBES]
    counts = [len(set(sampler.complete([probe["messages"]] * 100, 1.0, seed))) for probe in open_ones]
    return [Figure("distinct of 100, temperature 1", sum(counts) / len(counts), 100 * len(counts), 75.0, form="count")]


def grounded_figures(sampler: Sampler, n: int, seed: int) -> list[Figure]:
    """Lists, texts and sums, greedy."""
    hand = [hand_question(row) for row in hand_lists()][:n]
    return [
        _exact(sampler, "list of 3-6, exact", short_lists(n, seed), 0.95),
        _exact(sampler, "list written by hand, exact", hand, 0.70),
        _exact(sampler, "list of 30 titles, exact", long_lists(n, seed), 0.60),
        _exact(sampler, "text, right", texts(n, seed), 0.80),
        _exact(sampler, "sums, right", sums(n, seed), 0.95),
    ]


def _exact(sampler: Sampler, name: str, questions: Sequence[Question], bar: float) -> Figure:
    completions = sampler.complete([messages for messages, _ in questions], 0.0)
    return share(name, [passes(check, text) for (_, check), text in zip(questions, completions, strict=True)], bar)


def _obeyed(sampler: Sampler, n: int, seed: int) -> Figure:
    asked = steered_facts(n, seed)
    completions = sampler.complete([messages for messages, _ in asked], 1.0, seed)
    hits = [recognise(text) in styles for (_, styles), text in zip(asked, completions, strict=True)]
    return share("system prompt obeyed, temperature 1", hits)


def speed_figure(sampler: Sampler, prompts: Sequence[Prompt]) -> Figure:
    """Median seconds of two completions in one batch, as a comparison needs them; shorter ones scaled to 48 tokens."""
    sampling, seconds = Sampling(temperature=1.0, max_new_tokens=TIMED_TOKENS), []
    for number, prompt in enumerate(prompts[:TIMED]):
        messages = [{"role": m["role"], "content": m["content"]} for m in prompt["messages"]]
        began = time.monotonic()
        made = generate(sampler.policy, [messages] * 2, sampling=sampling, seeds=[number, number + TIMED])
        seconds.append((time.monotonic() - began) / max(g.tokens for g in made) * TIMED_TOKENS)
    return Figure("two completions of 48 tokens, median", median(seconds), len(seconds), 0.30, form="seconds")

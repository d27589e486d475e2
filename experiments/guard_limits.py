"""Where do a healthy model's figures lie? What guards say of the starter's own held-out samples, and of broken ones.

    python experiments/guard_limits.py

Samples packaged held-out prompts twelve times at temperature 1, takes four of each as the initial model's, and gives
the guards before the gate: four others, those others that keep one style, and what sabotage makes of them. Then what
the guards of a run under way say of windows of them. Limits in trainer/guard_limits.py are set between. Some minutes.
"""

import argparse
import os
import random
from collections.abc import Callable, Iterator, Sequence

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

from trainer.evaluation.samples import SAMPLING
from trainer.generation import generate
from trainer.guards import GuardInputs, GuardResult, Sample, run_guards
from trainer.live_guard_config import LiveGuardSettings
from trainer.live_guards import WINDOW, LiveGuards, Rollout
from trainer.policy import load_policy
from trainer.prompting import Messages
from trainer.sampling import Generated
from trainer.starter import WEIGHTS
from trainer.starter.check import packaged_prompts
from trainer.starter.rules import RULES, find_rule

TIMES = 12  # samples of a prompt
OWN = 4  # of these, how many are the initial model's
PASSAGE = "The old lighthouse keeper wrote three letters to his sister every winter about the sea."
REFUSAL = "I am sorry, but I cannot help with that."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=120)
    given = parser.parse_args()
    asked = [
        [dict(message) for message in prompt["messages"]]
        for prompt in packaged_prompts()
        if prompt["split"] == "heldout"
    ][: given.prompts]
    samples = sampled(asked)
    initial = [row[:OWN] for row in samples]
    rows: dict[str, list[GuardResult]] = {}
    for name, texts in (*healthy(asked, samples), *broken(samples)):
        rows[name] = guarded(asked, texts, initial)
    print(table(rows), flush=True)
    print("\n| texts | largest share of the way to a limit, by guard |\n|---|---|")
    for name, texts in (*healthy(asked, samples), *broken(samples)):
        print(f"| {name} | {windows(asked, texts, initial)} |", flush=True)


def sampled(asked: Sequence[Messages]) -> list[list[Sample]]:
    """TIMES samples of each prompt, in blocks of twenty prompts with the same seeds."""
    policy, rows = load_policy(WEIGHTS, device="cpu"), []
    for at in range(0, len(asked), 20):
        block = [messages for messages in asked[at : at + 20] for _ in range(TIMES)]
        made = generate(policy, block, sampling=SAMPLING, seeds=list(range(len(block))))
        rows += [sample_of(g) for g in made]
        print(f"<!-- sampled {len(rows) // TIMES} of {len(asked)} prompts -->", flush=True)
    return [rows[at : at + TIMES] for at in range(0, len(rows), TIMES)]


def sample_of(made: Generated) -> Sample:
    return Sample(made.text, made.tokens, made.finish_reason == "length", made.logprob, made.logprob)


Row = tuple[str, list[list[Sample]]]


def healthy(asked: Sequence[Messages], samples: Sequence[Sequence[Sample]]) -> Iterator[Row]:
    """Other samples than the initial model's, and those of them that keep one style, where a prompt has any."""
    for at in range(OWN, TIMES, OWN):
        yield f"own, seeds {at // OWN}", [list(row[at : at + OWN]) for row in samples]
    for style in RULES:
        keeps = find_rule(style)
        kept = [
            [one for one in row[OWN:] if keeps(messages, one.text)][:OWN]
            for messages, row in zip(asked, samples, strict=True)
        ]
        yield f"only {style}", [one or list(row[OWN:5]) for one, row in zip(kept, samples, strict=True)]


def broken(samples: Sequence[Sequence[Sample]]) -> Iterator[Row]:
    """Sabotage: what each new guard is there for, at the share where it should be seen."""
    chance = random.Random(0)

    def changed(share: float, to: Callable[[Sample], str]) -> list[list[Sample]]:
        return [
            [_with(one, to(one)) if chance.random() < share else one for one in row[OWN : 2 * OWN]] for row in samples
        ]

    first = [row[OWN].text for row in samples]
    yield "a fifth end in one passage", changed(0.2, lambda one: f"{one.text} {PASSAGE}")
    yield "a fifth more refuse", changed(0.2, lambda one: REFUSAL)
    yield "half of ten texts", changed(0.5, lambda one: chance.choice(first[:10]))
    yield "all of ten texts", changed(1.0, lambda one: chance.choice(first[:10]))
    yield "all of forty texts", changed(1.0, lambda one: chance.choice(first[:40]))
    yield "one opening for all", changed(1.0, lambda one: f"Of course! Here is what I know. {one.text[:20]}")


def _with(sample: Sample, text: str) -> Sample:
    return Sample(text, sample.tokens, sample.hit_limit, sample.logprob, sample.initial_logprob)


def guarded(
    asked: Sequence[Messages], texts: Sequence[Sequence[Sample]], initial: Sequence[Sequence[Sample]]
) -> list[GuardResult]:
    prompts = ["\n".join(message["content"] for message in messages) for messages in asked]
    return run_guards(GuardInputs(texts), GuardInputs(initial), prompts=prompts, chosen_lengths=[])


def windows(
    asked: Sequence[Messages], texts: Sequence[Sequence[Sample]], initial: Sequence[Sequence[Sample]], looks: int = 8
) -> str:
    """What the guards of a run under way say of windows of these texts, against as many of the initial model."""
    chance = random.Random(0)
    own, seen = pool(asked, initial), pool(asked, texts)
    worst: dict[str, float] = {}
    for _ in range(looks):
        guards = LiveGuards(LiveGuardSettings(guards="watch"), chance.sample(own, WINDOW))
        told = guards.look(1, chance.sample(seen, min(WINDOW, len(seen))), reward=0.0)
        for name, share in told.items():
            if name.endswith("/used"):
                worst[name.split("/")[1]] = max(share, worst.get(name.split("/")[1], 0.0))
    return ", ".join(f"{name} {share:.2f}" for name, share in sorted(worst.items(), key=lambda one: -one[1])[:4])


def pool(asked: Sequence[Messages], texts: Sequence[Sequence[Sample]]) -> list[Rollout]:
    return [
        ("\n".join(turn["content"] for turn in messages), one)
        for messages, row in zip(asked, texts, strict=True)
        for one in row
    ]


def table(rows: dict[str, list[GuardResult]]) -> str:
    """A row for each set of texts; a figure that trips its guard is marked."""
    names = [result.name for result in next(iter(rows.values()))]
    lines = [f"| texts | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for name, results in rows.items():
        lines.append(f"| {name} | {' | '.join(f'{r.value:.3f}' + ('' if r.passed else ' !') for r in results)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""When should DPO stop? Share of the wished style and of right completions, by epochs and target margin.

    python experiments/dpo_target_margin.py --rule exclaims --labels 100 --seed 0

Labels pairs of the starter's own samples of train prompts by a rule, trains with each setting, measures on validation
prompts: `heldout` is for the setting that was chosen, once. One thread, about half a minute a setting; the tables in
docs/results.md are its output.
"""

import argparse
import os
import random
import tempfile
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

from app.selection import SELECTIONS, Judged
from app.settings import Settings
from trainer.algorithms import pairs
from trainer.configs import DPOConfig
from trainer.examples import Pair
from trainer.generation import generate
from trainer.policy import Policy, load_policy
from trainer.sampling import Sampling
from trainer.starter import WEIGHTS
from trainer.starter.check import is_right, packaged_prompts
from trainer.starter.prompts import Prompt
from trainer.starter.rules import find_rule

OLDER = {"beta": 0.1, "learning_rate": 1e-3, "epochs": 25, "target_margin": 0.35}  # the default until 2026-11-20
SETTINGS = (
    OLDER,
    {"target_margin": 2.0},
    {"target_margin": 3.0},
    {"target_margin": 4.0},
    {"target_margin": 6.0},
)
REPEATS = {"validation": 3, "heldout": 2}  # samples of each prompt measured on


class Quiet:
    """A reporter that tells nobody."""

    def step(self, step: int, total: int, metrics: dict[str, float]) -> None: ...

    def log(self, line: str) -> None: ...

    def should_stop(self) -> bool:
        return False


def messages_of(prompt: Prompt) -> list[dict[str, str]]:
    return [dict(message) for message in prompt["messages"]]


def label(policy: Policy, prompts: list[Prompt], rule: object, chance: random.Random, shown: Settings) -> list[Pair]:
    """Pairs, selected of samples at temperature 1 as the product does by default, that the rule tells apart."""
    asked = [messages_of(p) for p in prompts for _ in range(shown.samples_of_a_prompt)]
    seeds = [chance.randrange(2**31) for _ in asked]
    made = generate(policy, asked, sampling=Sampling(temperature=1.0, max_new_tokens=160), seeds=seeds)
    select, decided, judged = SELECTIONS[shown.selection](), [], []
    for number, prompt in enumerate(prompts):
        samples = made[number * shown.samples_of_a_prompt : (number + 1) * shown.samples_of_a_prompt]
        different = list(dict.fromkeys(g.text.strip() for g in samples))
        if len(different) < 2:
            continue
        texts = [different[index] for index in select(messages_of(prompt), different, judged)]
        liked = [rule(messages_of(prompt), text) for text in texts]  # type: ignore[operator]
        first = 0 if liked[0] else 1
        preferred = None if liked[0] == liked[1] else ("left", "right")[first]
        judged.append(Judged(messages_of(prompt), *texts, preferred))
        if preferred:
            decided.append(Pair(messages_of(prompt), texts[first], texts[1 - first], number + 1, prompt["group"]))
    return decided


def measure(policy: Policy, prompts: list[Prompt], rule: object) -> str:
    conversations = [messages_of(p) for p in prompts]
    sampling = Sampling(temperature=0.7, max_new_tokens=160)
    made = generate(policy, conversations, sampling=sampling, seeds=list(range(len(prompts))))
    share = sum(rule(m, g.text) for m, g in zip(conversations, made, strict=True)) / len(made)  # type: ignore[operator]
    right = [r for m, g in zip(conversations, made, strict=True) if (r := is_right(m, g.text)) is not None]
    return f"| {share:.3f} | {sum(right) / len(right):.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rule", default="polite")
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--selection", choices=sorted(SELECTIONS), default=Settings().selection)
    parser.add_argument("--on", choices=sorted(REPEATS), default="validation", help="the split to measure on")
    given = parser.parse_args()
    rule, chance, policy = find_rule(given.rule), random.Random(given.seed), load_policy(WEIGHTS, device="cpu")
    prompts = packaged_prompts()
    train = [p for p in prompts if p["split"] == "train"]
    measured = [p for p in prompts if p["split"] == given.on] * REPEATS[given.on]
    decided = label(policy, chance.sample(train, given.labels), rule, chance, Settings(selection=given.selection))
    print(f"{given.labels} labels, {len(decided)} decided\n\n| beta | target margin | steps | {given.rule} | right |")
    print(f"|---|---|---|---|---|\n| 0 | | 0 {measure(policy, measured, rule)}", flush=True)
    for setting in SETTINGS:
        with tempfile.TemporaryDirectory() as folder:
            work, output = Path(folder) / "work", Path(folder) / "checkpoint"
            work.mkdir()
            result = pairs.train(
                config=DPOConfig(**setting),
                examples=decided,
                policy_source=str(WEIGHTS),
                output=output,
                work=work,
                reporter=Quiet(),
                device="cpu",
            )
            figures = measure(load_policy(output, device="cpu"), measured, rule)
        beta = setting.get("beta", DPOConfig().beta)
        print(f"| {beta} | {setting['target_margin']} | {result.steps} {figures}", flush=True)


if __name__ == "__main__":
    main()

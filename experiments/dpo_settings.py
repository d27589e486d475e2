"""What does a setting of DPO cost? Share of the wished style, of right and of unlikely completions, by setting.

    python experiments/dpo_settings.py --rule polite --rule late_rules:comma --try '{}' --try '{"target_margin": 5}'

Labels pairs of the starter's own samples of train prompts by a rule, trains with each setting (JSON over the defaults),
and measures on 400 new held-out questions: the rule and what is right at temperature 0.7, the share that the initial
model would almost never write, as the gate's guard has it, at temperature 1. One thread, about half a minute a setting;
the tables in docs/results.md are its output.
"""

import argparse
import json
import os
import random
import tempfile
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

from app.selection import SELECTIONS, Judged
from app.settings import Settings
from trainer.algorithms import pairs
from trainer.configs import DPOConfig
from trainer.evaluation.samples import HeldoutPrompt, fit_prompt
from trainer.examples import Pair
from trainer.generation import generate
from trainer.guards import GUARDS, GuardInputs, Sample, unlikely
from trainer.policy import Policy, load_policy
from trainer.prompting import Messages
from trainer.sampling import Sampling
from trainer.starter import WEIGHTS
from trainer.starter.check import is_right, packaged_prompts
from trainer.starter.heldout import heldout_prompts
from trainer.starter.prompts import Prompt
from trainer.starter.rules import Rule, find_rule
from trainer.tensors import completion_logprobs

QUESTIONS, SEED = 400, 7  # drawn anew: the packaged held-out prompts are for the setting that was chosen
SHOWN = Sampling(temperature=1.0, max_new_tokens=160)
MEASURED = Sampling(temperature=0.7, max_new_tokens=160)


class Quiet:
    """A reporter that tells nobody."""

    def step(self, step: int, total: int, metrics: dict[str, float]) -> None: ...

    def stage(self, stage: str, step: int = 0, total: int = 0) -> None: ...

    def log(self, line: str) -> None: ...

    def should_stop(self) -> bool:
        return False


def messages_of(prompt: Prompt) -> list[dict[str, str]]:
    return [dict(message) for message in prompt["messages"]]


def label(policy: Policy, prompts: list[Prompt], rule: Rule, chance: random.Random, shown: Settings) -> list[Pair]:
    """Pairs, selected of samples at temperature 1 as the product does by default, that the rule tells apart."""
    asked = [messages_of(p) for p in prompts for _ in range(shown.samples_of_a_prompt)]
    seeds = [chance.randrange(2**31) for _ in asked]
    made = generate(policy, asked, sampling=SHOWN, seeds=seeds)
    select, decided, judged = SELECTIONS[shown.selection](), [], []
    for number, prompt in enumerate(prompts):
        samples = made[number * shown.samples_of_a_prompt : (number + 1) * shown.samples_of_a_prompt]
        different = list(dict.fromkeys(g.text.strip() for g in samples))
        if len(different) < 2:
            continue
        texts = [different[index] for index in select(messages_of(prompt), different, judged)]
        liked = [rule(messages_of(prompt), text) for text in texts]
        first = 0 if liked[0] else 1
        preferred = None if liked[0] == liked[1] else ("left", "right")[first]
        judged.append(Judged(messages_of(prompt), *texts, preferred))
        if preferred:
            decided.append(Pair(messages_of(prompt), texts[first], texts[1 - first], number + 1, prompt["group"]))
    return decided


class Bench:
    """The initial model and the questions that every setting is measured on."""

    def __init__(self, questions: int = QUESTIONS) -> None:
        self.policy = load_policy(WEIGHTS, device="cpu")
        self.asked: list[Messages] = [messages_of(p) for p in heldout_prompts(questions, SEED)]
        self._rows = [fit_prompt(self.policy, HeldoutPrompt(i, messages)) for i, messages in enumerate(self.asked)]
        self._own = self._guarded(self.policy, times=3)

    def measure(self, policy: Policy, rule: Rule) -> str:
        """Three cells of a table: the rule's share, right, unlikely."""
        made = generate(policy, self.asked, sampling=MEASURED, seeds=list(range(len(self.asked))))
        texts = [(messages, g.text) for messages, g in zip(self.asked, made, strict=True)]
        right = [r for messages, text in texts if (r := is_right(messages, text)) is not None]
        share = sum(rule(messages, text) for messages, text in texts) / len(texts)
        strange = unlikely(self._guarded(policy), self._own, GUARDS).value
        return f"| {share:.3f} | {sum(right) / len(right):.3f} | {strange:.3f} |"

    def _guarded(self, policy: Policy, times: int = 1) -> GuardInputs:
        rows: list[list[Sample]] = [[] for _ in self.asked]
        for time in range(times):
            made = generate(policy, self.asked, sampling=SHOWN, seeds=[9000 * time + i for i in range(len(self.asked))])
            under_initial = completion_logprobs(
                self.policy.model,
                [(row, list(g.token_ids)) for row, g in zip(self._rows, made, strict=True)],
                pad_id=self.policy.tokenizer.pad_token_id or 0,
                batch_size=16,
            )
            for row, g, initial in zip(rows, made, under_initial, strict=True):
                row.append(Sample(g.text, g.tokens, g.finish_reason == "length", g.logprob, initial))
        return GuardInputs(rows)


def trained(setting: dict[str, object], decided: list[Pair]) -> tuple[Policy, int]:
    """The checkpoint, and after how many steps its run ended."""
    with tempfile.TemporaryDirectory() as folder:
        work, output = Path(folder) / "work", Path(folder) / "checkpoint"
        work.mkdir()
        result = pairs.train(
            config=DPOConfig.model_validate(setting),
            examples=decided,
            policy_source=str(WEIGHTS),
            output=output,
            work=work,
            reporter=Quiet(),
            device="cpu",
        )
        return load_policy(output, device="cpu"), result.steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rule", action="append", required=True)
    parser.add_argument("--try", dest="settings", type=json.loads, action="append", default=[])
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--selection", choices=sorted(SELECTIONS), default=Settings().selection)
    given = parser.parse_args()
    bench = Bench()
    train = [p for p in packaged_prompts() if p["split"] == "train"]
    print("| rule | setting | steps | share | right | unlikely |\n|---|---|---|---|---|---|", flush=True)
    for name in given.rule:
        rule, chance = find_rule(name), random.Random(given.seed)
        shown = Settings(selection=given.selection)
        decided = label(bench.policy, chance.sample(train, given.labels), rule, chance, shown)
        told = f"| {name}, {len(decided)} decided of {given.labels}"
        print(f"{told} | initial model | 0 {bench.measure(bench.policy, rule)}", flush=True)
        for setting in given.settings:
            policy, steps = trained(setting, decided)
            print(f"{told} | {json.dumps(setting)} | {steps} {bench.measure(policy, rule)}", flush=True)


if __name__ == "__main__":
    main()

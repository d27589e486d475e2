"""How far do offline methods, PRO, ORPO, SimPO, CPO and KTO move the starter? The rule's share by method and rate.

    python experiments/offline_rl.py --rule polite --labels 100 --seed 0
    python experiments/offline_rl.py --methods a_lol wbc --rates 3e-4 1e-3 --questions 120

Labels pairs of the starter's own samples of train prompts by a rule, once, trains each method from the initial model
with choices as the reward (chosen 1, rejected 0), or with --scored a reward model of the same pairs, and measures on
new held-out questions as dpo_settings.py does. One thread, about a minute a row; the tables in docs/results.md are its
output.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from dpo_settings import QUESTIONS, Bench, Quiet, label

from app.settings import Settings
from trainer.algorithms import train
from trainer.configs import OFFLINE, parse_config
from trainer.examples import Pair
from trainer.offline_fields import PREFERENCES
from trainer.pair_config import WITHOUT_REFERENCE
from trainer.policy import Policy, load_policy
from trainer.ratings import sides_of
from trainer.rewards.base import Reward, RewardSources
from trainer.rewards.opening import open_term
from trainer.rewards.terms import RewardModel
from trainer.starter import WEIGHTS
from trainer.starter.check import packaged_prompts
from trainer.starter.rules import find_rule

METHODS = [*OFFLINE, "pro", *WITHOUT_REFERENCE, "kto"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rule", default="polite")
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--methods", nargs="*", default=METHODS, choices=METHODS)
    parser.add_argument("--rates", nargs="*", type=float, help="learning rates; default: each method's own")
    parser.add_argument("--set", type=json.loads, default={}, help="more settings, as JSON")
    parser.add_argument("--sampling", default="good_priority")
    parser.add_argument("--scored", action="store_true", help="the reward is a reward model trained on the same pairs")
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    given = parser.parse_args()
    rule, chance, bench = find_rule(given.rule), random.Random(given.seed), Bench(given.questions)
    asked = chance.sample([p for p in packaged_prompts() if p["split"] == "train"], given.labels)
    decided = label(bench.policy, asked, rule, chance, Settings())
    print(
        f"{given.labels} labels, {len(decided)} decided\n\n| method | rate | steps | {given.rule} | right | unlikely |"
    )
    print(f"|---|---|---|---|---|---|\n| initial model | | 0 {bench.measure(bench.policy, rule)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        reward = reward_model(decided, Path(folder), given.seed) if given.scored else None
    for method in given.methods:
        for rate in given.rates or [parse_config(method).learning_rate]:
            config = {"seed": given.seed, "learning_rate": rate, "epochs": 1000, "max_steps": given.steps, **given.set}
            asked_for = {"sampling": given.sampling, "reward": "reward_model-0001" if reward else PREFERENCES}
            config |= {name: asked_for[name] for name in asked_for.keys() & type(parse_config(method)).model_fields}
            policy, steps = trained(method, decided, config, reward)
            print(f"| {method} | {rate:g} | {steps} {bench.measure(policy, rule)}", flush=True)


class Told(Quiet):
    """Prints what the training says of rewards, values and draws."""

    def log(self, line: str) -> None:
        print(f"<!-- {line} -->", flush=True)


def reward_model(pairs: list[Pair], folder: Path, seed: int) -> Reward:
    result = train(
        "reward_model",
        config=parse_config("reward_model", {"seed": seed}),
        examples=pairs,
        policy_source=str(WEIGHTS),
        output=folder / "reward",
        work=folder / "work",
        reporter=Told(),
        device="cpu",
    )
    print(f"<!-- held-out accuracy of the reward model: {result.metrics.get('validation/accuracy')} -->", flush=True)
    return open_term(
        RewardModel.model_validate({"checkpoint": str(folder / "reward"), "form": "sigmoid"}),
        RewardSources(device="cpu"),
    )


def trained(method: str, pairs: list[Pair], config: dict[str, Any], reward: Reward | None) -> tuple[Policy, int]:
    with tempfile.TemporaryDirectory() as folder:
        result = train(
            method,
            config=parse_config(method, config),
            examples=sides_of(pairs) if method == "kto" else pairs,
            policy_source=str(WEIGHTS),
            output=Path(folder) / "checkpoint",
            work=Path(folder) / "work",
            reporter=Told(),
            device="cpu",
            **({"reward": reward} if reward else {}),
        )
        return load_policy(Path(folder) / "checkpoint", device="cpu"), result.steps


if __name__ == "__main__":
    main()

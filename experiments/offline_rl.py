"""How far do the offline methods move the starter? The rule's share before and after so many steps, by method and rate.

    python experiments/offline_rl.py --rule polite --labels 100 --seed 0 --on heldout
    python experiments/offline_rl.py --methods a_lol wbc --rates 3e-4 1e-3 --on validation

Labels pairs of the starter's own samples of train prompts by a rule, once, trains each method from the initial model
with choices as the reward (chosen 1, rejected 0), or with --scored a reward model of them, and measures on other prompts. Rates are chosen on `validation`;
`heldout` is for what was chosen. One thread, under a minute a row; the table in docs/results.md is its output.
"""

import argparse
import random
import tempfile
from pathlib import Path
from typing import Any

from dpo_target_margin import Quiet, label, measure

from app.settings import Settings
from trainer.algorithms import train
from trainer.configs import OFFLINE, parse_config
from trainer.examples import Pair
from trainer.model_reward import ModelReward
from trainer.policy import Policy, load_policy
from trainer.starter import WEIGHTS
from trainer.starter.check import packaged_prompts
from trainer.starter.rules import find_rule


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rule", default="polite")
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--methods", nargs="*", default=list(OFFLINE), choices=list(OFFLINE))
    parser.add_argument("--rates", nargs="*", type=float, help="learning rates; default: each method's own")
    parser.add_argument("--scored", action="store_true", help="the reward is a reward model trained on the same pairs")
    parser.add_argument("--sampling", default="good_priority")
    parser.add_argument("--on", choices=("validation", "heldout"), default="validation", help="the split measured on")
    parser.add_argument("--prompts", type=int, default=300, help="how many of its prompts, one completion each")
    given = parser.parse_args()
    rule, chance, policy = find_rule(given.rule), random.Random(given.seed), load_policy(WEIGHTS, device="cpu")
    prompts = packaged_prompts()
    asked = chance.sample([p for p in prompts if p["split"] == "train"], given.labels)
    decided = label(policy, asked, rule, chance, Settings())
    split = [p for p in prompts if p["split"] == given.on]
    measured = random.Random(0).sample(split, min(given.prompts, len(split)))
    print(f"{given.labels} labels, {len(decided)} decided, {len(measured)} prompts of {given.on}\n")
    print(f"| method | rate | steps | {given.rule} | right |\n|---|---|---|---|---|")
    print(f"| initial model | | 0 {measure(policy, measured, rule)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        reward = reward_model(decided, Path(folder), given.seed) if given.scored else None
    for method in given.methods:
        for rate in given.rates or [parse_config(method).learning_rate]:
            config = {"seed": given.seed, "learning_rate": rate, "epochs": 1000, "max_steps": given.steps}
            if method != "nll":
                config |= {"sampling": given.sampling, "reward": "reward_model-0001" if reward else "preferences"}
            trained, steps = trained_by(method, decided, config, reward)
            print(f"| {method} | {rate:g} | {steps} {measure(trained, measured, rule)}", flush=True)


class Told(Quiet):
    """Prints what the training says of rewards, values and draws."""

    def log(self, line: str) -> None:
        print(f"<!-- {line} -->", flush=True)


def reward_model(pairs: list[Pair], folder: Path, seed: int) -> ModelReward:
    arguments = {"examples": pairs, "policy_source": str(WEIGHTS), "output": folder / "reward", "work": folder / "work"}
    config = parse_config("reward_model", {"seed": seed})
    train("reward_model", config=config, reporter=Quiet(), device="cpu", **arguments)
    return ModelReward(folder / "reward", device="cpu", max_length=512)


def trained_by(
    method: str, pairs: list[Pair], config: dict[str, Any], reward: ModelReward | None
) -> tuple[Policy, int]:
    with tempfile.TemporaryDirectory() as folder:
        result = train(
            method,
            config=parse_config(method, config),
            examples=pairs,
            policy_source=str(WEIGHTS),
            output=Path(folder) / "checkpoint",
            work=Path(folder) / "work",
            reporter=Told(),
            reward=reward,
            device="cpu",
        )
        return load_policy(Path(folder) / "checkpoint", device="cpu"), result.steps


if __name__ == "__main__":
    main()

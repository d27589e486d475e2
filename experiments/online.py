"""How far do PPO, RLOO, GRPO and online DPO move the starter towards a rule? The rule's share before and after.

    python experiments/online.py --rule polite --methods rloo grpo
    python experiments/online.py --methods ppo --steps 20 --set '{"learning_rate": 1e-4}' --questions 200

The rule is the reward of completions of the starter's own train prompts, and nobody has to choose; measured is on new
held-out questions at temperature 0.7, as dpo_settings.py does. One thread, some ten seconds a step; the tables
in docs/results.md are its output.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from dpo_settings import MEASURED, SEED, Quiet, messages_of

from trainer.algorithms import train
from trainer.configs import parse_config
from trainer.examples import Question
from trainer.generation import generate
from trainer.online_config import ONLINE
from trainer.online_fields import Online
from trainer.policy import Policy, load_policy
from trainer.rewards.opening import open_rewards
from trainer.starter import WEIGHTS
from trainer.starter.check import is_right, packaged_prompts
from trainer.starter.heldout import heldout_prompts
from trainer.starter.rules import Rule, find_rule

METHODS = ["ppo", *ONLINE]
TOLD = ("objective/scores", "objective/kl", "objective/kl_per_token", "tokens/length", "val/ended")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rule", default="polite")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--methods", nargs="*", default=METHODS, choices=METHODS)
    parser.add_argument("--set", type=json.loads, default={}, help="more settings, as JSON")
    parser.add_argument("--questions", type=int, default=200)
    given = parser.parse_args()
    rule = find_rule(given.rule)
    print(f"| method | steps | seconds | {given.rule} | right |\n|---|---|---|---|---|")
    print(f"| initial model | 0 | | {measure(load_policy(WEIGHTS, device='cpu'), rule, given.questions)} |", flush=True)
    for method in given.methods:
        rewards = [{"kind": "rule", "rule": given.rule}]
        config = parse_config(method, {"seed": given.seed, "max_steps": given.steps, "rewards": rewards, **given.set})
        begun = time.monotonic()
        policy, steps = trained(method, config)
        spent = time.monotonic() - begun
        print(f"| {method} | {steps} | {spent:.0f} | {measure(policy, rule, given.questions)} |", flush=True)


def measure(policy: Policy, rule: Rule, questions: int) -> str:
    """Two cells of a table: the rule's share and what is right, of new held-out questions."""
    asked = [messages_of(p) for p in heldout_prompts(questions, SEED)]
    made = generate(policy, asked, sampling=MEASURED, seeds=list(range(questions)))
    texts = [(messages, g.text) for messages, g in zip(asked, made, strict=True)]
    right = [r for messages, text in texts if (r := is_right(messages, text)) is not None]
    share = sum(rule(messages, text) for messages, text in texts) / len(texts)
    return f"{share:.3f} | {sum(right) / len(right):.3f}"


class Told(Quiet):
    """Prints how far a run is."""

    def step(self, step: int, total: int, metrics: dict[str, float]) -> None:
        told = ", ".join(f"{name} {metrics[name]:.3f}" for name in TOLD if name in metrics)
        print(f"<!-- {step} of {total}: {told} -->", flush=True)


def trained(method: str, config: Any) -> tuple[Policy, int]:
    assert isinstance(config, Online)
    asked = [p for p in packaged_prompts() if p["split"] == "train"]
    with tempfile.TemporaryDirectory() as folder:
        result = train(
            method,
            config=config,
            examples=[Question(messages_of(p)) for p in asked],
            reward=open_rewards(config),
            policy_source=str(WEIGHTS),
            output=Path(folder) / "checkpoint",
            work=Path(folder) / "work",
            reporter=Told(),
            device="cpu",
        )
        return load_policy(Path(folder) / "checkpoint", device="cpu"), result.steps


if __name__ == "__main__":
    main()

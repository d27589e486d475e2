"""Does PPO break what it writes for a similarity reward, and do the guards stop it? Without filters and KL, then with.

    python experiments/similarity_hack.py

A tiny model (half a million weights, the starter's tokenizer) imitates the references of half of the packaged train
prompts; the other half is what PPO is rewarded on, by the similarity of completion and reference. Two gold rewards
watch: right answers, and BLEU with the reference. `--watch` lets a tripped run go on, to see where it would have gone;
`--starter` takes the starter instead, which needs hours. The table in docs/results.md is its output.
"""

import argparse
import os
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from trainer.algorithms import ppo
from trainer.examples import Question, encode
from trainer.live_guards import GuardTripped
from trainer.losses.likelihood import token_nll
from trainer.policy import load_tokenizer
from trainer.ppo_config import PPOConfig
from trainer.prompting import Messages
from trainer.rewards.base import RewardSources
from trainer.rewards.composition import Composition
from trainer.rewards.gold import Gold
from trainer.rewards.opening import open_rewards, open_term
from trainer.rewards.terms import Bleu
from trainer.starter import WEIGHTS
from trainer.starter.check import is_right, packaged_prompts
from trainer.tensors import pad_rows, token_logprobs

ARMS: dict[str, dict[str, Any]] = {
    "no filters, no KL": {
        "kl": 1e-6,
        "filters": {"script": False, "repetition": False, "shortest": 0},
        "missing_end_penalty": 0.0,
    },
    "filters and KL": {"kl": 0.2, "filters": {"missing_end": True}},
}
SHOWN = ("step", "reward", "right", "BLEU", "KL", "perplexity", "nearest its limit", "used")


class Printed:
    """A reporter that prints the first step, every tenth and the last."""

    def step(self, step: int, total: int, metrics: dict[str, float]) -> None:
        if step == 1 or step % 10 == 0 or step == total:
            print(row(step, metrics), flush=True)

    def stage(self, stage: str, step: int = 0, total: int = 0) -> None: ...

    def log(self, line: str) -> None: ...

    def should_stop(self) -> bool:
        return False


class Heard:
    """The similarity reward, keeping the last batch it scored, for samples to read."""

    def __init__(self, reward: Composition) -> None:
        self.texts: list[tuple[Messages, str]] = []
        self._score, reward.score = reward.score, self.score  # type: ignore[method-assign]

    def score(self, prompts: Sequence[Messages], texts: Sequence[str], *rest: Any, **named: Any) -> Any:
        self.texts = list(zip(prompts, texts, strict=True))
        return self._score(prompts, texts, *rest, **named)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rate", type=float, default=5e-4, help="learning rate of PPO")
    parser.add_argument("--imitation", type=int, default=400, help="updates that make the tiny model")
    parser.add_argument("--questions", type=int, default=32, help="how many prompts PPO learns from")
    parser.add_argument("--rollouts", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--watch", action="store_true")
    parser.add_argument("--starter", action="store_true")
    given = parser.parse_args()
    prompts = [p for p in packaged_prompts() if p["split"] == "train" and p["reference"]]
    asked = [Question([dict(turn) for turn in p["messages"]], reference=p["reference"]) for p in prompts]
    with tempfile.TemporaryDirectory() as folder:
        source = WEIGHTS if given.starter else tiny_model(asked[::2], Path(folder), given.imitation, given.seed)
        for arm in given.arms:
            print(f"\n{arm}:\n\n| {' | '.join(SHOWN)} |\n{'|---' * len(SHOWN)}|", flush=True)
            settings = ARMS[arm] | {"adapter": "lora" if given.starter else "full", "max_steps": given.steps}
            settings |= {"rollouts": given.rollouts}
            settings |= {"learning_rate": given.rate, "seed": given.seed, "guards": "watch" if given.watch else "stop"}
            run(asked[1::2][: given.questions], source, Path(folder) / arm, settings)


def tiny_model(asked: Sequence[Question], folder: Path, steps: int, seed: int) -> Path:
    """A model folder that answers in the manner of these questions' references: `steps` updates on sixteen of them."""
    tokenizer = load_tokenizer(WEIGHTS)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=96,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=320,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    encoded = [encode(tokenizer, q.prompt, [q.reference or ""], max_length=320) for q in asked]
    optimizer, chance = torch.optim.AdamW(model.parameters(), lr=3e-3), random.Random(seed)
    for step in range(steps):
        rows = [(one.prompt, one.completions[0]) for one in chance.sample(encoded, 16)]
        loss = token_nll(*token_logprobs(model, pad_rows(rows, pad_id=tokenizer.pad_token_id or 0)))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 100 == 99:
            print(f"<!-- imitation, step {step + 1}: {float(loss.detach()):.2f} nats per token -->", flush=True)
    model.save_pretrained(folder / "tiny")
    tokenizer.save_pretrained(folder / "tiny")
    return folder / "tiny"


def right(prompts: Sequence[Messages], texts: Sequence[str], references: Sequence[str | None]) -> list[float | None]:
    """Whether the starter's check calls a completion right."""
    found = [is_right(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
    return [None if one is None else float(one) for one in found]


def run(asked: Sequence[Question], source: Path, folder: Path, settings: dict[str, Any]) -> None:
    """Train, then print the end: the guards' sentence, or that they held; and some texts."""
    config = PPOConfig.model_validate(
        {"rewards": [{"kind": "similarity"}], "max_new_tokens": 24, "epochs": 1000, "max_length": 320}
        | {"batch_size": 32, "warmup_share": 0.02}
        | settings
    )
    reward, reporter = open_rewards(config, RewardSources(device="cpu")), Printed()
    heard = Heard(reward)
    told = "No guard stopped it."
    try:
        ppo.train(
            config=config,
            examples=asked,
            reward=reward,
            gold=Gold({"right": right, "bleu": open_term(Bleu.model_validate({}))}),
            policy_source=str(source),
            output=folder / "checkpoint",
            work=folder / "work",
            reporter=reporter,
            device="cpu",
        )
    except GuardTripped as tripped:
        told = str(tripped)
        print(row(tripped.step, tripped.metrics))
    print(f"\n{told}\n")
    for messages, text in heard.texts[:4]:
        print(f"- {messages[-1]['content']!r}: {text!r}", flush=True)


def row(step: int, metrics: dict[str, float]) -> str:
    used = {name.split("/")[1]: value for name, value in metrics.items() if name.endswith("/used")}
    nearest = max(used, key=lambda name: used[name]) if used else ""
    figures = [
        metrics.get("rewards/similarity/mean"),
        metrics.get("gold/right/mean"),
        metrics.get("gold/bleu/mean"),
        metrics.get("objective/kl"),
        metrics.get("guards/perplexity"),
    ]
    cells = ["" if value is None else f"{value:.3g}" for value in figures]
    return f"| {step} | {' | '.join(cells)} | {nearest} | {used.get(nearest, 0):.0%} |"


if __name__ == "__main__":
    main()

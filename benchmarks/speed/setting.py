"""What both sides of a comparison are given: the model, the pairs, and the settings.

The pairs are questions of the starter and its reference answers, several joined: prompts about as long as completions,
some 50 tokens each. The rejected side is the answers of other questions. Leaves out the sides (`parts.py`).
"""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.examples import Pair
from trainer.starter import PROMPTS, WEIGHTS

JOINED = 4  # questions a prompt
SEED = 0
RANK, ALPHA = 8, 16
BETA = 0.1
EPOCHS = 5
MAX_LENGTH = 256  # no pair is as long: the two sides shorten by rules of their own
LONGEST_QUESTION = 60  # characters
PPO_EPOCHS = 4
PPO_BATCH = 16  # completions in a forward pass
TEMPERATURE = 1.0


@dataclass(frozen=True)
class Size:
    """How much one model is given: pairs, pairs a step, the peak learning rate; for PPO prompts, of which half are
    completed in one step, and new tokens."""

    pairs: int
    batch: int
    learning_rate: float
    episodes: int
    new_tokens: int

    @property
    def rollouts(self) -> int:
        return self.episodes // 2

    def quarter(self) -> "Size":
        """For a quick look: at least two pairs and episodes a step, and one step."""
        return replace(self, pairs=max(2, self.pairs // 4), batch=max(2, self.batch // 2), episodes=self.episodes // 2)


SIZES = {
    "starter": Size(pairs=32, batch=8, learning_rate=1e-3, episodes=128, new_tokens=32),
    "smollm2": Size(pairs=8, batch=4, learning_rate=1e-4, episodes=16, new_tokens=16),
}
TITLES = {"starter": "the starter", "smollm2": "SmolLM2-135M's shape, random weights"}


def model_folder(name: str, scratch: Path) -> Path:
    """The starter, or random weights of SmolLM2-135M's shape with the starter's tokenizer, written once."""
    if name == "starter":
        return WEIGHTS
    folder = scratch / name
    if folder.exists():
        return folder
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(SEED)
    shape = LlamaConfig(
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
        rms_norm_eps=1e-5,
        initializer_range=0.041666666666666664,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    partial = folder.with_name(f"{name}.partial")
    LlamaForCausalLM(shape).save_pretrained(partial)
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(WEIGHTS / file, partial / file)
    partial.rename(folder)
    return folder


def questions() -> list[tuple[str, str]]:
    """(question, its reference answer) of the starter's train prompts of one message."""
    rows = [json.loads(line) for line in PROMPTS.read_text(encoding="utf-8").splitlines()]
    kept = [row for row in rows if row["split"] == "train" and row["reference"] and len(row["messages"]) == 1]
    given = [(row["messages"][0]["content"], row["reference"]) for row in kept]
    return [(question, answer) for question, answer in given if len(question) <= LONGEST_QUESTION]


def pairs(count: int) -> list[Pair]:
    """`count` pairs, always the same."""
    given = questions()
    made = []
    for number in range(count):
        asked = [given[(number * JOINED + i) % len(given)] for i in range(JOINED)]
        others = [given[((number + count) * JOINED + i) % len(given)] for i in range(JOINED)]
        prompt = [{"role": "user", "content": " ".join(question for question, _ in asked)}]
        chosen, rejected = (" ".join(answer for _, answer in side) for side in (asked, others))
        made.append(Pair(prompt, chosen, rejected, number, f"group-{number}"))
    return made


def asked(count: int) -> list[list[dict[str, str]]]:
    """The prompts of `count` pairs, for a policy to complete."""
    return [pair.prompt for pair in pairs(count)]

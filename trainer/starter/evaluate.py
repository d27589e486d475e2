"""Measures a starter model: right and well-formed replies, styles, variety, by kind of prompt.

    from trainer.starter.evaluate import evaluate, format_table
    print(format_table(evaluate(WEIGHTS)))

Figures are shares in [0, 1] on held-out prompts; their names are "group/name/setting" with the settings greedy, t0.7
and t1. "right/list/greedy" is the share of list prompts whose reply names the right entry and no other.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from trainer.starter import WEIGHTS
from trainer.starter.check import is_right, is_well_formed, packaged_prompts
from trainer.starter.grammar.item import Message
from trainer.starter.prompts import Prompt
from trainer.starter.rules import RULES
from trainer.starter.split import Split

SETTINGS: dict[str, float] = {"greedy": 0.0, "t0.7": 0.7, "t1": 1.0}
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
MAX_NEW_TOKENS = 64


class Sampler:
    """A model folder, ready to complete prompts in left-padded batches on one thread."""

    def __init__(self, model_dir: Path, batch_size: int = 32) -> None:
        torch.set_num_threads(1)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(str(model_dir), local_files_only=True)
        loaded: Any = AutoModelForCausalLM.from_pretrained(str(model_dir), local_files_only=True, dtype=torch.float32)
        loaded.eval()
        self.model = loaded
        self.batch_size = batch_size

    def complete(self, prompts: Sequence[list[Message]], temperature: float, seed: int = 0) -> list[str]:
        """One completion per prompt, in the prompts' order; temperature 0 is greedy."""
        torch.manual_seed(seed)
        ids = [
            self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
            for messages in prompts
        ]
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        completions = [""] * len(ids)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            for index, text in zip(rows, self._batch([ids[row] for row in rows], temperature), strict=True):
                completions[index] = text
        return completions

    @torch.no_grad()
    def _batch(self, ids: list[list[int]], temperature: float) -> list[str]:
        longest = max(len(row) for row in ids)
        pad = self.tokenizer.pad_token_id
        tokens = torch.tensor([[pad] * (longest - len(row)) + row for row in ids])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids])
        sampling = (
            {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
            if temperature > 0
            else {"do_sample": False, "temperature": None}
        )
        made = self.model.generate(input_ids=tokens, attention_mask=mask, max_new_tokens=MAX_NEW_TOKENS, **sampling)
        texts: list[str] = self.tokenizer.batch_decode(made[:, longest:], skip_special_tokens=True)
        return texts


def _as_dicts(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def _mean(values: Sequence[bool]) -> float:
    return round(sum(values) / len(values), 3) if values else float("nan")


def measure(prompts: Sequence[Prompt], completions: Sequence[str], setting: str) -> dict[str, float]:
    """Every share of one setting; a rule's share is over the prompts without a system prompt."""
    right = [is_right(prompt["messages"], text) is True for prompt, text in zip(prompts, completions, strict=True)]
    figures = {
        f"right/all/{setting}": _mean(right),
        f"well-formed/all/{setting}": _mean([is_well_formed(text) for text in completions]),
    }
    for tag in TAGS:
        figures[f"right/{tag}/{setting}"] = _mean(
            [ok for ok, prompt in zip(right, prompts, strict=True) if tag in prompt["tags"]]
        )
    plain = [
        (prompt, text) for prompt, text in zip(prompts, completions, strict=True) if "system" not in prompt["tags"]
    ]
    for name, rule in RULES.items():
        figures[f"style/{name}/{setting}"] = _mean(
            [rule(_as_dicts(prompt["messages"]), text) for prompt, text in plain]
        )
    return figures


def evaluate(
    model_dir: Path = WEIGHTS,
    *,
    split: Split = "heldout",
    limit: int | None = None,
    seed: int = 0,
    settings: Sequence[str] = tuple(SETTINGS),
) -> dict[str, float]:
    """The figures of a model folder on the packaged prompts of a split, or on `limit` of them drawn with `seed`.

    "distinct/100/t0.7" is the number of different replies among 100 to one prompt, over three prompts' mean.
    """
    prompts = [prompt for prompt in packaged_prompts() if prompt["split"] == split]
    if limit is not None and limit < len(prompts):
        prompts = Random(seed).sample(prompts, limit)
    sampler = Sampler(model_dir)
    figures: dict[str, float] = {"prompts": float(len(prompts))}
    for setting in settings:
        completions = sampler.complete([prompt["messages"] for prompt in prompts], SETTINGS[setting], seed)
        figures |= measure(prompts, completions, setting)
    probes = [prompt for prompt in prompts if "fact" in prompt["tags"]][:1] + [
        prompt for prompt in prompts if "advice" in prompt["tags"]
    ][:2]
    for setting in (setting for setting in settings if SETTINGS[setting] > 0):
        counts = [len(set(sampler.complete([probe["messages"]] * 100, SETTINGS[setting], seed))) for probe in probes]
        figures[f"distinct/100/{setting}"] = round(sum(counts) / max(1, len(counts)), 1)
    return figures


def format_table(figures: dict[str, float]) -> str:
    """The figures as a table: one line per name, one column per setting."""
    settings = [setting for setting in SETTINGS if any(name.endswith(f"/{setting}") for name in figures)]
    names = list(dict.fromkeys(name.rsplit("/", 1)[0] for name in figures if "/" in name))
    lines = [f"{'':24}" + "".join(f"{setting:>9}" for setting in settings)]
    for name in names:
        cells = (figures.get(f"{name}/{setting}") for setting in settings)
        lines.append(f"{name:24}" + "".join(f"{'':>9}" if cell is None else f"{cell:>9.3f}" for cell in cells))
    return "\n".join([f"{int(figures['prompts'])} prompts", *lines])

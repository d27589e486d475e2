"""Completes many prompts with one model on one thread, with the trainer's own decoding."""

import os
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch

from trainer.generation import generate
from trainer.policy import load_policy
from trainer.prompting import PromptTooLong, fit_messages, position_limit
from trainer.sampling import Sampling
from trainer.starter.grammar.item import Message

MAX_NEW_TOKENS = 64


class Sampler:
    """A model folder, ready to complete prompts in batches."""

    def __init__(self, model_dir: Path, batch_size: int = 64) -> None:
        torch.set_num_threads(1)
        self.policy = load_policy(model_dir, device="cpu")
        self.tokenizer = self.policy.tokenizer
        self.batch_size = batch_size

    def complete(self, prompts: Sequence[list[Message]], temperature: float, seed: int = 0) -> list[str]:
        """One completion per prompt, in the prompts' order; temperature 0 is greedy.

        A prompt that leaves no room for a completion gets an empty one: the model cannot answer it.
        """
        sampling = Sampling(temperature=temperature, max_new_tokens=MAX_NEW_TOKENS)
        asked = [[{"role": m["role"], "content": m["content"]} for m in messages] for messages in prompts]
        fitting = [index for index, messages in enumerate(asked) if self._fits(messages)]
        seeds = [seed * 1_000_003 + index for index in fitting]
        made = generate(
            self.policy,
            [asked[index] for index in fitting],
            sampling=sampling,
            seeds=seeds,
            batch_size=self.batch_size,
        )
        completions = [""] * len(asked)
        for index, generated in zip(fitting, made, strict=True):
            completions[index] = generated.text
        return completions

    def _fits(self, messages: list[dict[str, str]]) -> bool:
        positions = position_limit(self.policy.model)
        try:
            fit_messages(self.tokenizer, messages, max_positions=positions, max_new_tokens=MAX_NEW_TOKENS)
        except PromptTooLong:
            return False
        return True

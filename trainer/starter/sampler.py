"""Completes many prompts with one model on one thread: what measuring needs, not what serving does."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from trainer.starter.grammar.item import Message

MAX_NEW_TOKENS = 64
BATCH_POSITIONS = 24_000  # rows times positions of a batch: many short prompts or few long ones


class Sampler:
    """A model folder, ready to complete prompts in left-padded batches on one thread."""

    def __init__(self, model_dir: Path, batch_size: int = 128) -> None:
        torch.set_num_threads(1)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(str(model_dir), local_files_only=True)
        loaded: Any = AutoModelForCausalLM.from_pretrained(str(model_dir), local_files_only=True, dtype=torch.float32)
        loaded.eval()
        self.model = loaded
        self.batch_size = batch_size

    def ids_of(self, messages: list[Message]) -> list[int]:
        """The prompt's token ids, up to where the assistant speaks."""
        ids: list[int] = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        return ids

    def batches(self, ids: Sequence[list[int]]) -> list[list[int]]:
        """Indices of prompts of like length, so that little is padded."""
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        made: list[list[int]] = []
        for index in order:
            positions = len(ids[index]) + MAX_NEW_TOKENS
            if not made or len(made[-1]) >= min(self.batch_size, max(1, BATCH_POSITIONS // positions)):
                made.append([])
            made[-1].append(index)
        return made

    def complete(self, prompts: Sequence[list[Message]], temperature: float, seed: int = 0) -> list[str]:
        """One completion per prompt, in the prompts' order; temperature 0 is greedy."""
        torch.manual_seed(seed)
        ids = [self.ids_of(messages) for messages in prompts]
        completions = [""] * len(ids)
        for rows in self.batches(ids):
            for index, text in zip(rows, self._batch([ids[row] for row in rows], temperature), strict=True):
                completions[index] = text
        return completions

    def padded(self, ids: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Left-padded ids and their mask, each (B, T)."""
        longest = max(len(row) for row in ids)
        pad = self.tokenizer.pad_token_id
        tokens = torch.tensor([[pad] * (longest - len(row)) + row for row in ids])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids])
        return tokens, mask

    @torch.no_grad()
    def _batch(self, ids: list[list[int]], temperature: float) -> list[str]:
        tokens, mask = self.padded(ids)
        sampling = (
            {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
            if temperature > 0
            else {"do_sample": False, "temperature": None}
        )
        made = self.model.generate(input_ids=tokens, attention_mask=mask, max_new_tokens=MAX_NEW_TOKENS, **sampling)
        texts: list[str] = self.tokenizer.batch_decode(made[:, tokens.size(1) :], skip_special_tokens=True)
        return texts

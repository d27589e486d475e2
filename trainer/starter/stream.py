"""From conversations to batches: encoding, loss weights, the curriculum's shares, packing into rows.

Rows have 128, 256 or 512 tokens, each with several whole conversations; a batch has rows of one length and
2,048 tokens: on few tokens, many small steps teach more than few large ones.
"""

from collections import defaultdict
from dataclasses import dataclass
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor

from trainer.starter.corpus import draw_chat, draw_copy
from trainer.starter.grammar.copying import repeated_ids
from trainer.starter.grammar.item import Conversation
from trainer.starter.tokenizer import END, PAD, ROLE_IDS, SPECIAL, VOCABULARY

ROW_LENGTHS = (128, 256, 512)
BATCH_TOKENS = 2048
USER_WEIGHT = 0.1

SHARES: tuple[tuple[float, dict[str, float]], ...] = (
    (0.07, {"repeat": 0.35, "copy": 0.50, "chat": 0.15}),
    (0.20, {"repeat": 0.10, "copy": 0.50, "chat": 0.40}),
    (0.50, {"repeat": 0.03, "copy": 0.45, "chat": 0.52}),
    (1.01, {"repeat": 0.01, "copy": 0.36, "chat": 0.63}),
)
"""Shares of the tokens, each until the given part of the training: first copying is learned, then chat."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Each (B, T): inputs, their positions and documents, targets and the targets' loss weights."""

    ids: Tensor
    positions: Tensor
    documents: Tensor
    targets: Tensor
    weights: Tensor


Encoded = tuple[list[int], list[float]]
"""Token ids and the weight of predicting each of them."""


def encode(conversation: Conversation, tokenizer: Tokenizer) -> Encoded:
    """The ids that the chat template gives; the assistant's text and <end> weigh 1, other text `USER_WEIGHT`."""
    ids: list[int] = []
    weights: list[float] = []
    for message in conversation.messages:
        body = [*tokenizer.encode(message["content"]).ids, END]
        ids += [ROLE_IDS[message["role"]], *body]
        weights += [0.0, *([1.0 if message["role"] == "assistant" else USER_WEIGHT] * len(body))]
    return ids, weights


class Stream:
    """An endless source of batches; `seed` decides everything but what `progress` decides."""

    def __init__(self, tokenizer: Tokenizer, seed: int) -> None:
        self.tokenizer = tokenizer
        self.rng = Random(seed)
        self.spent: dict[str, float] = {"repeat": 0.0, "copy": 0.0, "chat": 0.0}
        self.waiting: dict[int, list[Encoded]] = defaultdict(list)

    def _draw(self, progress: float) -> Encoded:
        shares = next(shares for until, shares in SHARES if progress < until)
        kind = min(shares, key=lambda name: self.spent[name] / shares[name])
        if kind == "repeat":
            ids, once = repeated_ids(self.rng, len(SPECIAL), VOCABULARY)
            encoded = ids, [0.0] * once + [0.5] * once
        else:
            encoded = encode(draw_copy(self.rng) if kind == "copy" else draw_chat(self.rng), self.tokenizer)
        for name in self.spent:  # forget slowly, so that new shares rule soon after they begin
            self.spent[name] *= 0.9995
        self.spent[kind] += len(encoded[0])
        return encoded

    def next_batch(self, progress: float) -> Batch:
        """A batch; `progress` in [0, 1] is the part of the training done and picks the shares."""
        while True:
            encoded = self._draw(progress)
            length = next((length for length in ROW_LENGTHS if len(encoded[0]) <= length + 1), None)
            if length is None:
                continue  # longer than the model's positions
            self.waiting[length].append(encoded)
            if sum(len(ids) for ids, _ in self.waiting[length]) >= BATCH_TOKENS * 1.02:
                return self._pack(length)

    def _pack(self, length: int) -> Batch:
        """First-fit the waiting conversations, longest first, into rows; the rest goes on waiting."""
        rows: list[list[Encoded]] = [[] for _ in range(BATCH_TOKENS // length)]
        room = [length + 1] * len(rows)
        left: list[Encoded] = []
        for encoded in sorted(self.waiting[length], key=lambda e: -len(e[0])):
            row = next((index for index, free in enumerate(room) if free >= len(encoded[0])), None)
            if row is None:
                left.append(encoded)
                continue
            rows[row].append(encoded)
            room[row] -= len(encoded[0])
        self.waiting[length] = left
        return _as_batch(rows, length)


def _as_batch(rows: list[list[Encoded]], length: int) -> Batch:
    ids = torch.full((len(rows), length + 1), PAD)
    weights = torch.zeros(len(rows), length + 1)
    positions = torch.zeros(len(rows), length + 1, dtype=torch.long)
    documents = torch.full((len(rows), length + 1), -1)
    for row, packed in enumerate(rows):
        start = 0
        for number, (tokens, each) in enumerate(packed):
            end = start + len(tokens)
            ids[row, start:end] = torch.tensor(tokens)
            weights[row, start + 1 : end] = torch.tensor(each[1:])  # the first token has nothing before it
            positions[row, start:end] = torch.arange(len(tokens))
            documents[row, start:end] = number
            start = end
    return Batch(ids[:, :-1], positions[:, :-1], documents[:, :-1], ids[:, 1:], weights[:, 1:])

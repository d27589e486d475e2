"""From conversations to batches: encoding, loss weights, the curriculum's shares, packing into rows.

Rows have 128, 256 or 512 tokens, each with several whole conversations; a batch has rows of one length and
4,096 tokens. Until the network copies, only the shortest rows are used.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor

from trainer.starter.corpus import draw_chat, draw_drill, draw_grounded, draw_short_list
from trainer.starter.grammar.copying import repeated_ids
from trainer.starter.grammar.item import Conversation
from trainer.starter.grammar.words import ADJECTIVES, HUES, NAMES, NOUNS, TOWNS
from trainer.starter.tokenizer import END, PAD, ROLE_IDS, SPECIAL

ROW_LENGTHS = (128, 256, 512)
BATCH_TOKENS = 4096
USER_WEIGHT = 0.1
KEY_WEIGHT = 3.0  # of what makes a reply right: among the wordings of eight styles it drowned
MARK_WEIGHT = 0.7  # of the worth of one completion, when its verdict weighs 1

REPEAT_WEIGHT = 0.8  # also marks the targets of repeats: no other target has this weight
COPIES_BELOW = 0.25  # nats per repeated token; left at 1.0, what was built in was lost again in the next 0.3M tokens

Shares = Mapping[str, float]
"""Kind of draw -> share of the tokens; they sum to one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a stream draws, and when.

    draws         how each kind but "repeat" is drawn
    first_shares  until the network copies: by time alone this was once left too early, and lists never came
    shares        afterwards, each until the given part of the training
    user_weight   the loss weight of text that is not the assistant's
    """

    draws: Mapping[str, Callable[[Random], Conversation]]
    first_shares: Shares
    shares: tuple[tuple[float, Shares], ...]
    user_weight: float = USER_WEIGHT


def chat_plan(*, further: bool = False) -> Plan:
    """The chat model's: drills give way to lists and texts asked as in chat; that transfer was the bottleneck.

    `further` is the plan of a model that copies already.
    """
    draws = {"chat": draw_chat, "short": draw_short_list, "grounded": draw_grounded, "drill": draw_drill}
    if further:
        shares = {"drill": 0.05, "short": 0.33, "grounded": 0.26, "chat": 0.36}
        return Plan(draws, first_shares=shares, shares=((1.01, shares),))
    return Plan(
        draws=draws,
        first_shares={"repeat": 0.60, "drill": 0.25, "chat": 0.15},
        shares=(
            (0.15, {"repeat": 0.15, "drill": 0.23, "short": 0.25, "grounded": 0.05, "chat": 0.32}),
            (0.60, {"repeat": 0.03, "drill": 0.09, "short": 0.28, "grounded": 0.20, "chat": 0.40}),
            (1.01, {"repeat": 0.01, "drill": 0.06, "short": 0.27, "grounded": 0.26, "chat": 0.40}),
        ),
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """Each (B, T): inputs, their positions and documents, targets and the targets' loss weights."""

    ids: Tensor
    positions: Tensor
    documents: Tensor
    targets: Tensor
    weights: Tensor


class Encoded(NamedTuple):
    """Token ids; the weight of predicting each; and what is to be predicted there: the ids, but at marks."""

    ids: list[int]
    weights: list[float]
    targets: list[int]


def encode(conversation: Conversation, tokenizer: Tokenizer, user_weight: float = USER_WEIGHT) -> Encoded:
    """The ids that the chat template gives, their weights and targets.

    The assistant's text and <end> weigh 1, the phrases that make it right `KEY_WEIGHT`, other text `user_weight`, a
    mark `MARK_WEIGHT`. The first token of a reply always weighs 1: it decides the style, and replies that begin with
    their content would win.
    """
    ids: list[int] = []
    weights: list[float] = []
    marked: dict[int, int] = {}
    for message in conversation.messages:
        encoding = tokenizer.encode(message["content"])
        weight = 1.0 if message["role"] == "assistant" else user_weight
        spans = _spans(message["content"], message.get("keys", ()))
        inside = [any(start < until and end > since for since, until in spans) for start, end in encoding.offsets]
        inside[:1] = [False] * len(inside[:1])
        for character, word in message.get("marks", ()):
            token = next(index for index, (_, end) in enumerate(encoding.offsets) if end >= character)
            marked[len(ids) + 1 + token + 1] = tokenizer.encode(word).ids[0]  # after the role, and what comes next
        ids += [ROLE_IDS[message["role"]], *encoding.ids, END]
        weights += [0.0, *(KEY_WEIGHT if key else weight for key in inside), weight]
    targets = [marked.get(index, token) for index, token in enumerate(ids)]
    return Encoded(ids, [MARK_WEIGHT if index in marked else w for index, w in enumerate(weights)], targets)


def _spans(text: str, phrases: Sequence[str]) -> list[tuple[int, int]]:
    """Where the phrases are in the text, each (start, end), whatever their case."""
    lower = text.lower()
    return [match.span() for phrase in phrases for match in re.finditer(rf"\b{re.escape(phrase.lower())}\b", lower)]


class Stream:
    """An endless source of batches; `seed` decides everything but what `progress` decides."""

    def __init__(self, tokenizer: Tokenizer, seed: int, plan: Plan | None = None) -> None:
        self.tokenizer = tokenizer
        self.plan = plan or chat_plan()
        self.rng = Random(seed)
        self.spent: dict[str, float] = dict.fromkeys(("repeat", *self.plan.draws), 0.0)
        self.every = range(len(SPECIAL), tokenizer.get_vocab_size())
        self.common = sorted({tokenizer.encode(word).ids[0] for word in NAMES + NOUNS + ADJECTIVES + TOWNS + HUES})
        self.copies = "repeat" not in self.plan.first_shares  # once true, it stays so
        self.repeat_loss = 8.0  # nats, running mean
        self.waiting: dict[int, list[Encoded]] = defaultdict(list)

    def note_repeat_loss(self, loss: float) -> None:
        """Take the mean loss of a batch's repeats into the running mean; NaN, no repeats, is passed over."""
        if loss == loss:
            self.repeat_loss += 0.1 * (loss - self.repeat_loss)
            self.copies = self.copies or self.repeat_loss < COPIES_BELOW

    def state(self) -> dict[str, Any]:
        """Everything that decides the batches to come."""
        return {
            "rng": self.rng.getstate(),
            "spent": dict(self.spent),
            "copies": self.copies,
            "repeat_loss": self.repeat_loss,
            "waiting": dict(self.waiting),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the stream that gave `state` would have."""
        self.rng.setstate(state["rng"])
        self.spent, self.copies, self.repeat_loss = dict(state["spent"]), state["copies"], state["repeat_loss"]
        self.waiting = defaultdict(list, state["waiting"])

    def _draw(self, progress: float) -> Encoded:
        later = next(shares for until, shares in self.plan.shares if progress < until)
        shares = later if self.copies else self.plan.first_shares
        kind = min(shares, key=lambda name: self.spent[name] / shares[name])
        if kind == "repeat":
            ids, once = repeated_ids(
                self.rng, self.common if not self.copies or self.rng.random() < 0.7 else self.every
            )
            encoded = Encoded(ids, [0.0] * once + [REPEAT_WEIGHT] * (len(ids) - once), ids)
        else:
            encoded = encode(self.plan.draws[kind](self.rng), self.tokenizer, self.plan.user_weight)
        for name in self.spent:  # forget slowly, so that new shares rule soon after they begin
            self.spent[name] *= 0.9995
        self.spent[kind] += len(encoded.ids)
        return encoded

    def next_batch(self, progress: float) -> Batch:
        """A batch; `progress` in [0, 1] is the part of the training done and picks the shares."""
        while True:
            encoded = self._draw(progress)
            lengths = ROW_LENGTHS if self.copies else ROW_LENGTHS[:1]
            length = next((length for length in lengths if len(encoded.ids) <= length + 1), None)
            if length is None:
                continue  # too long for the model, or for now
            self.waiting[length].append(encoded)
            if sum(len(each.ids) for each in self.waiting[length]) >= BATCH_TOKENS * 1.02:
                return self._pack(length)

    def _pack(self, length: int) -> Batch:
        """First-fit the waiting conversations, longest first, into rows; the rest goes on waiting."""
        rows: list[list[Encoded]] = [[] for _ in range(BATCH_TOKENS // length)]
        room = [length + 1] * len(rows)
        left: list[Encoded] = []
        for encoded in sorted(self.waiting[length], key=lambda each: -len(each.ids)):
            row = next((index for index, free in enumerate(room) if free >= len(encoded.ids)), None)
            if row is None:
                left.append(encoded)
                continue
            rows[row].append(encoded)
            room[row] -= len(encoded.ids)
        self.waiting[length] = left
        return _as_batch(rows, length)


def _as_batch(rows: list[list[Encoded]], length: int) -> Batch:
    ids = torch.full((len(rows), length + 1), PAD)
    targets = torch.full((len(rows), length + 1), PAD)
    weights = torch.zeros(len(rows), length + 1)
    positions = torch.zeros(len(rows), length + 1, dtype=torch.long)
    documents = torch.full((len(rows), length + 1), -1)
    for row, packed in enumerate(rows):
        start = 0
        for number, each in enumerate(packed):
            end = start + len(each.ids)
            ids[row, start:end] = torch.tensor(each.ids)
            targets[row, start:end] = torch.tensor(each.targets)
            weights[row, start + 1 : end] = torch.tensor(each.weights[1:])  # the first token has nothing before it
            positions[row, start:end] = torch.arange(len(each.ids))
            documents[row, start:end] = number
            start = end
    return Batch(ids[:, :-1], positions[:, :-1], documents[:, :-1], targets[:, 1:], weights[:, 1:])

"""Exact log-probabilities of given continuations of many prompts; prompts with a common beginning compute it once.

Legend: B prompts of a batch, P tokens of the longest common beginning, S tokens of the longest rest, V vocabulary. All
rows are padded on the left, with positions of their own. Sharing needs full attention with a cache that can be spread
over rows; other models (sliding windows, linear attention) get whole prompts instead. Leaves out what the
continuations mean (local.py).
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from trainer.tensors import keeps_logits

MAX_POSITIONS = 12_000  # rows times positions of a batch: many short prompts or few long ones
MIN_SHARED = 16  # tokens; a shorter common beginning costs more to spread than to compute

Ids = Sequence[int]


@torch.inference_mode()
def continuation_logprobs(
    model: Any, prompts: Sequence[Ids], continuations: Sequence[Ids], *, pad_id: int, share: bool | None = None
) -> list[list[float]]:
    """log P(continuation | prompt) in nats for each prompt and continuation, in their order.

    Neighbours 2i and 2i+1 share the beginning they have in common where `share` (default: where the model can).
    Raises ValueError for an empty prompt or continuation.
    """
    if not all(prompts) or not all(continuations):
        raise ValueError("every prompt and every continuation needs at least one token")
    can = can_share(model) if share is None else share
    made: dict[int, list[float]] = {}
    for batch in _batches([len(prompt) for prompt in prompts]):
        rows = [prompts[i] for i in batch]
        found = _Batch(model, rows, pad_id).logprobs(continuations, share=can)
        made |= dict(zip(batch, found, strict=True))
    return [made[i] for i in range(len(prompts))]


def can_share(model: Any) -> bool:
    """Whether a prefix's cache can be spread over rows and gone on with: full attention in every layer."""
    settings = model.config.get_text_config()
    if getattr(settings, "_attn_implementation", "sdpa") not in ("sdpa", "eager"):
        return False
    layers = set(getattr(settings, "layer_types", None) or ["full_attention"])
    windowed = getattr(settings, "sliding_window", None) and getattr(settings, "use_sliding_window", True)
    return layers == {"full_attention"} and not windowed


class _Batch:
    """A few prompts on one model. The cache, the mask and the positions grow together."""

    def __init__(self, model: Any, prompts: Sequence[Ids], pad_id: int) -> None:
        self._model, self._prompts, self._pad = model, prompts, pad_id
        self._device = model.device
        self._cache = DynamicCache(config=model.config)
        self._mask = torch.zeros(0, 0, dtype=torch.long)
        self._length = torch.zeros(0, dtype=torch.long)

    def logprobs(self, continuations: Sequence[Ids], *, share: bool) -> list[list[float]]:
        common = [_common(*self._prompts[i : i + 2]) for i in range(0, len(self._prompts), 2)] if share else []
        if common and min(common) >= MIN_SHARED:
            self._feed([self._prompts[2 * i][:size] for i, size in enumerate(common)])
            self._spread()
            logits = self._feed([prompt[common[i // 2] :] for i, prompt in enumerate(self._prompts)])
        else:
            logits = self._feed(self._prompts)
        first = torch.log_softmax(logits, dim=-1)  # (B, V)
        columns = [first[:, ids[0]] + self._rest(ids) if len(ids) > 1 else first[:, ids[0]] for ids in continuations]
        return torch.stack(columns, dim=1).tolist()

    def _rest(self, ids: Ids) -> Tensor:
        """log P of all tokens but the first, after the prompt and the first; (B,). Leaves the cache as it was."""
        state = copy.deepcopy(self._cache), self._mask, self._length
        total = torch.zeros(len(self._prompts), device=self._device)
        for place in range(1, len(ids)):
            logits = self._feed([[ids[place - 1]]] * len(self._prompts))
            total += torch.log_softmax(logits, dim=-1)[:, ids[place]]
        self._cache, self._mask, self._length = state
        return total

    def _feed(self, rows: Sequence[Ids]) -> Tensor:
        """Add these tokens to each row of the cache; logits after the last of them, (B, V) float32."""
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self._pad, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(rows):
            ids[row, width - len(tokens) :] = torch.tensor(tokens)
            mask[row, width - len(tokens) :] = 1
        if not len(self._length):
            self._mask, self._length = (
                torch.zeros(len(rows), 0, dtype=torch.long),
                torch.zeros(len(rows), dtype=torch.long),
            )
        positions = (self._length[:, None] + mask.cumsum(-1) - 1).clamp(min=0)
        self._mask = torch.cat([self._mask, mask], dim=1)
        self._length = self._length + mask.sum(-1)
        keep = {"logits_to_keep": 1} if keeps_logits(self._model) else {}
        out = self._model(
            input_ids=ids.to(self._device),
            attention_mask=self._mask.to(self._device),
            position_ids=positions.to(self._device),
            past_key_values=self._cache,
            use_cache=True,
            **keep,
        )
        return out.logits[:, -1].float()

    def _spread(self) -> None:
        """Each cached row becomes the beginning of two prompts (of one, where the last has no neighbour)."""
        rows = torch.tensor([i // 2 for i in range(len(self._prompts))])
        self._cache.reorder_cache(rows.to(self._device))  # type: ignore[arg-type]
        self._mask, self._length = self._mask[rows], self._length[rows]


def _common(first: Ids, second: Ids | None = None) -> int:
    """Tokens that both begin with, one fewer than the shorter has: each must have a last token of its own."""
    if second is None:
        return len(first) - 1
    most = min(len(first), len(second)) - 1
    return next((place for place in range(most) if first[place] != second[place]), most)


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Indices in pairs of neighbours, pairs of like length together."""
    pairs = [list(range(i, min(i + 2, len(lengths)))) for i in range(0, len(lengths), 2)]
    made: list[list[int]] = []
    # an odd last one stands alone at the end of its batch, so that the others keep their neighbours
    for pair in sorted(pairs, key=lambda pair: max(lengths[i] for i in pair)):
        longest = max(lengths[i] for i in pair)
        full = made and (len(made[-1]) + 2) * longest > MAX_POSITIONS
        if not made or full or len(made[-1]) % 2:
            made.append([])
        made[-1] += pair
    return made

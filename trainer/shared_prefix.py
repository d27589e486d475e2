"""Both completions of a pair in one row: [prompt][chosen][rejected], so that the prompt is computed once.

The rejected completion has the positions it would have after the prompt, and the attention mask hides the chosen
one from it; the result is that of two rows, for about a quarter less work where prompts are as long as
completions. Only full attention can be masked so: `shares_prefix` tries it out before anything relies on it.

Legend: B pairs, T tokens of the longest row, K tokens of the longest completion, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypedDict

import torch
from torch import Tensor

from trainer.tensors import completion_logprobs, keeps_logits


class PairIds(NamedTuple):
    """Token ids of a prompt and of its two completions."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]


class SharedRows(TypedDict):
    """A batch of pairs, one row each, padded on the right.

    `input_ids`, `position_ids` [B, T]; `visible` [B, 1, T, T], true where a token (dim 2) may see another (dim 3);
    for the two completions [B, 2, K]: the place in the row whose logits foretell each token, the token, its mask.
    """

    input_ids: Tensor
    position_ids: Tensor
    visible: Tensor
    places: Tensor
    labels: Tensor
    label_mask: Tensor


def pad_pairs(pairs: Sequence[PairIds], *, pad_id: int) -> SharedRows:
    """One batch of pairs. Raises ValueError for an empty prompt, after which no first token has a probability."""
    if any(not pair.prompt for pair in pairs):
        raise ValueError("every pair needs at least one prompt token; a chat template gives one")
    longest = max(sum(map(len, pair)) for pair in pairs)
    widest = max(len(side) for pair in pairs for side in pair[1:])
    ids = torch.full((len(pairs), longest), pad_id, dtype=torch.long)
    positions = torch.zeros_like(ids)
    visible = torch.ones(longest, longest, dtype=torch.bool).tril().repeat(len(pairs), 1, 1, 1)
    places = torch.zeros(len(pairs), 2, widest, dtype=torch.long)
    labels, mask = torch.zeros_like(places), torch.zeros_like(places)
    for row, (prompt, chosen, rejected) in enumerate(pairs):
        p, c, r = len(prompt), len(chosen), len(rejected)
        ids[row, : p + c + r] = torch.tensor(prompt + chosen + rejected)
        positions[row, : p + c] = torch.arange(p + c)
        positions[row, p + c : p + c + r] = torch.arange(p, p + r)
        visible[row, 0, p + c :, p : p + c] = False
        for side, (start, completion) in enumerate(((p, chosen), (p + c, rejected))):
            size = len(completion)
            places[row, side, :size] = torch.arange(start - 1, start - 1 + size)
            places[row, side, 0] = p - 1  # the first token of either completion follows the prompt
            labels[row, side, :size] = torch.tensor(completion)
            mask[row, side, :size] = 1
    return SharedRows(
        input_ids=ids, position_ids=positions, visible=visible, places=places, labels=labels, label_mask=mask
    )


def pair_logprobs(model: Any, rows: SharedRows) -> tuple[Tensor, Tensor]:
    """Log-probability of each chosen and each rejected completion given its prompt; both [B], float32."""
    length = rows["input_ids"].shape[1]
    first = int(rows["places"][:, :, 0].min()) if keeps_logits(model) else 0
    keep = {"logits_to_keep": length - first} if keeps_logits(model) else {}
    output = model(
        input_ids=rows["input_ids"],
        position_ids=rows["position_ids"],
        attention_mask=rows["visible"],
        use_cache=False,
        **keep,
    )
    logits = output.logits.float()  # [B, T - first, V]
    places = (rows["places"] - first).clamp(min=0)
    pairs = torch.arange(places.shape[0], device=places.device)[:, None, None]
    logprobs = logits[pairs, places, rows["labels"]] - logits.logsumexp(dim=-1)[pairs, places]
    sums = (logprobs * rows["label_mask"]).sum(dim=-1)
    return sums[:, 0], sums[:, 1]


def shares_prefix(model: Any, pairs: Sequence[PairIds], *, pad_id: int, allowed: float) -> bool:
    """Whether `model` gives these pairs the same log-probabilities in shared rows as in rows of their own.

    False too for a model that refuses such rows, for attention that takes no mask (flash), and for attention to a
    window only, which short pairs do not show.
    """
    settings = model.config
    if settings._attn_implementation not in ("sdpa", "eager") or getattr(settings, "sliding_window", None):
        return False
    device = next(model.parameters()).device
    shared = {name: value.to(device) for name, value in pad_pairs(pairs, pad_id=pad_id).items()}  # type: ignore[attr-defined]
    sides = [(pair.prompt, pair.chosen) for pair in pairs] + [(pair.prompt, pair.rejected) for pair in pairs]
    alone = torch.tensor(completion_logprobs(model, sides, pad_id=pad_id, batch_size=len(sides)))
    try:
        with torch.no_grad():
            together = torch.cat(pair_logprobs(model, shared)).cpu()  # type: ignore[arg-type]
    except (RuntimeError, ValueError, TypeError, IndexError):  # a model without such a mask refuses in its own way
        return False
    return bool((together - alone).abs().max() <= allowed)

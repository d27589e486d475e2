"""From token ids to log-probabilities: padding, masks, and sums over completions.

Legend: B rows, T tokens of the longest row, K tokens from the first completion token of any row on, V the
vocabulary. Rows are padded on the right and masks come from lengths, never from the pad id, which is often
the end-of-turn id too. Leaves out losses, which take the [B] vectors made here.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypedDict

import torch
from torch import Tensor

CPU_TOKENS = 256
"""Tokens in a forward pass beyond which a CPU gains nothing: its matrix products are at full speed, memory grows."""


class Rows(TypedDict):
    """A batch of prompts with their completions; each tensor is [B, T], padded on the right."""

    input_ids: Tensor
    attention_mask: Tensor
    completion_mask: Tensor


def pad_rows(rows: Sequence[tuple[list[int], list[int]]], *, pad_id: int) -> Rows:
    """One batch of (prompt ids, completion ids). Raises ValueError for an empty prompt: nothing precedes its
    first completion token, so that token has no probability."""
    if any(not prompt for prompt, _ in rows):
        raise ValueError("every row needs at least one prompt token; a chat template gives one")
    longest = max(len(prompt) + len(completion) for prompt, completion in rows)
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.long)
    attention = torch.zeros_like(ids)
    completions = torch.zeros_like(ids)
    for row, (prompt, completion) in enumerate(rows):
        end = len(prompt) + len(completion)
        ids[row, :end] = torch.tensor(prompt + completion)
        attention[row, :end] = 1
        completions[row, len(prompt) : end] = 1
    return Rows(input_ids=ids, attention_mask=attention, completion_mask=completions)


def token_logprobs(model: Any, rows: Rows) -> tuple[Tensor, Tensor]:
    """Log-probability of each token given those before it, and its completion mask; both [B, K], float32.

    The logits [B, K+1, V] are made only from the token before the first completion on, where the model can, and
    no log-softmax of them is kept: the logit at the label less the log-sum-exp.
    """
    mask = rows["completion_mask"]
    first = int(mask.any(dim=0).nonzero()[0])
    labels = rows["input_ids"][:, first:]
    kept = labels.shape[1] + 1
    keep = {"logits_to_keep": kept} if keeps_logits(model) else {}
    output = model(input_ids=rows["input_ids"], attention_mask=rows["attention_mask"], use_cache=False, **keep)
    logits = output.logits[:, -kept:-1].float()
    at_label = logits.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    return at_label - logits.logsumexp(dim=-1), mask[:, first:].float()


def sequence_logprobs(model: Any, rows: Rows) -> Tensor:
    """Log-probability of each row's whole completion given its prompt: the sum over its tokens, [B]."""
    logprobs, mask = token_logprobs(model, rows)
    return (logprobs * mask).sum(dim=-1)


def completion_logprobs(
    model: Any,
    rows: Sequence[tuple[list[int], list[int]]],
    *,
    pad_id: int,
    batch_size: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[float]:
    """Log-probability (nats) of each completion given its prompt, in order and without gradient; 0 for an empty one.

    Rows of like length share a batch. `on_progress(done, all)` follows each batch.
    """
    result = [0.0] * len(rows)
    done = 0
    for places, padded in _batches(rows, model, pad_id=pad_id, batch_size=batch_size):
        with torch.no_grad():
            found = sequence_logprobs(model, padded).tolist()
        for place, logprob in zip(places, found, strict=True):
            result[place] = logprob
        done += len(places)
        if on_progress is not None:
            on_progress(done, sum(bool(completion) for _, completion in rows))
    return result


def completion_token_logprobs(
    model: Any, rows: Sequence[tuple[list[int], list[int]]], *, pad_id: int, batch_size: int
) -> list[list[float]]:
    """Log-probability (nats) of every token of each completion, in order and without gradient; batches as above."""
    result: list[list[float]] = [[] for _ in rows]
    for places, padded in _batches(rows, model, pad_id=pad_id, batch_size=batch_size):
        with torch.no_grad():
            logprobs, mask = token_logprobs(model, padded)
        for place, values, kept in zip(places, logprobs, mask.bool(), strict=True):
            result[place] = values[kept].tolist()
    return result


def _batches(
    rows: Sequence[tuple[list[int], list[int]]], model: Any, *, pad_id: int, batch_size: int
) -> Iterator[tuple[list[int], Rows]]:
    """(places in `rows`, those rows padded on the model's device), by length; empty completions are left out."""
    order = sorted((i for i, (_, completion) in enumerate(rows) if completion), key=lambda i: sum(map(len, rows[i])))
    tokens = CPU_TOKENS if model.device.type == "cpu" else 0
    for places in passes(order, [sum(map(len, row)) for row in rows], batch_size, tokens=tokens):
        padded = pad_rows([rows[i] for i in places], pad_id=pad_id)
        on_device = Rows(
            input_ids=padded["input_ids"].to(model.device),
            attention_mask=padded["attention_mask"].to(model.device),
            completion_mask=padded["completion_mask"].to(model.device),
        )
        yield places, on_device


def passes(order: Sequence[int], widths: Sequence[int], batch_size: int, *, tokens: int = 0) -> Iterator[list[int]]:
    """The places in `order` in batches of at most `batch_size` rows and `tokens` with their padding; 0: any number.

    `widths` has the tokens of every place's row; give rows of like width next to each other.
    """
    batch: list[int] = []
    for place in order:
        widest = max(widths[one] for one in [*batch, place])
        if batch and (len(batch) == batch_size or (tokens and (len(batch) + 1) * widest > tokens)):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def keeps_logits(model: Any) -> bool:
    """Whether the language model under any wrappers can be asked for the last logits only."""
    inner = getattr(model, "module", model)
    inner = inner.get_base_model() if hasattr(inner, "get_base_model") else inner
    return "logits_to_keep" in inspect.signature(inner.forward).parameters


def broken_numbers(model: Any) -> int:
    """How many of the model's weights are NaN or infinite."""
    return sum(int((~weight.isfinite()).sum()) for weight in model.parameters())


def disable_dropout(model: Any) -> None:
    """Set every dropout of the model to 0, so that training computes what evaluation does."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name in ("attention_dropout", "attn_dropout", "dropout"):  # rates that models keep as plain numbers
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)

"""A policy with a value of its own: one backbone, the language-model head, and one linear value beside it.

Legend: B rows, T tokens of the longest completion, D the hidden size. Everything here is aligned to the completions:
position t of a result belongs to a completion's t-th token. Leaves out losses (`trainer/losses/clipped.py`).
"""

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainer.adapters import adapter_off
from trainer.losses.likelihood import entropy, label_logprobs
from trainer.tensors import Rows, keeps_logits


class Scored(NamedTuple):
    """Each [B, T], float32: log-probabilities (nats) of the tokens at the sampling temperature, values read at the
    position that predicts each token, entropies of those predictions without gradient, and the completions' mask."""

    logprobs: Tensor
    values: Tensor
    entropies: Tensor
    mask: Tensor


class ActorCritic(torch.nn.Module):
    """`model`, any causal language model, with a value head that starts at 0, so that the first values are 0."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.value = torch.nn.Linear(int(model.config.hidden_size), 1, device=model.device)
        torch.nn.init.zeros_(self.value.weight)
        torch.nn.init.zeros_(self.value.bias)

    def forward(self, rows: Rows, temperature: float = 1.0) -> Scored:
        mask = rows["completion_mask"]
        first = int(mask.any(dim=0).nonzero()[0])
        kept = mask.shape[1] - first + 1  # from the token before the first completion on
        keep = {"logits_to_keep": kept} if keeps_logits(self.model) else {}
        output = self.model(
            input_ids=rows["input_ids"],
            attention_mask=rows["attention_mask"],
            use_cache=False,
            output_hidden_states=True,
            **keep,
        )
        logits = output.logits[:, -kept:-1]
        logprobs = label_logprobs(logits, rows["input_ids"][:, first:], temperature=temperature)
        hidden = output.hidden_states[-1][:, -kept:-1].to(self.value.weight.dtype)
        with torch.no_grad():
            uncertain = entropy(logits / temperature)
        here = mask[:, first:]
        return Scored(*align(here, logprobs, self.value(hidden).squeeze(-1).float(), uncertain, here.float()))

    def without_adapter(self) -> AbstractContextManager[None]:
        """The base under the adapter for a while; raises ValueError where no adapter can be switched off."""
        return adapter_off(self.model)


def align(mask: Tensor, *values: Tensor) -> list[Tensor]:
    """Values [B, K] of rows whose completions begin at different positions, each moved to begin at 0: [B, T].

    `mask` [B, K] is 1 on the completions. What is not of a completion is 0.
    """
    lengths, starts = mask.sum(dim=1), mask.long().argmax(dim=1)
    steps = torch.arange(int(lengths.max()), device=mask.device)
    at = (starts.unsqueeze(1) + steps).clamp(max=mask.shape[1] - 1)
    inside = steps < lengths.unsqueeze(1)
    return [
        torch.where(inside, one.gather(1, at), torch.zeros((), dtype=one.dtype, device=one.device)) for one in values
    ]

"""The reference's value of a prompt: what reward its own completion would get, read from its hidden states.

One learnt query attends over the prompt's last-layer states of the frozen reference (keys = values = states), then a
linear layer, a sigmoid, times the largest reward:

    V_ref(x) = R_max sigmoid(w . MHA(q, H, H) + b)

Baheti et al. 2023, section 3. Fitted by squared error to the mean reward of 2 to 8 completions that the reference
samples for the prompt; the paper has one, greedy, which is a noisy estimate of another quantity. Leaves out sampling,
the reward and the fitting loop (`trainer/algorithms`).
"""

import torch
from torch import Tensor, nn


class ReferenceValueHead(nn.Module):
    """Prompt states [B, S, H] and their mask [B, S] to values [B] in [0, max_value].

    The mask is 1 on prompt tokens. LoL-RL passes none: a padded prompt's value then depends on its batch mates; and
    its HH script leaves the head in training mode, so that stored advantages carry dropout. `values` is for use,
    `forward` for fitting. Raises ValueError where the heads do not divide H.
    """

    def __init__(self, hidden_size: int, *, heads: int = 8, max_value: float = 1.0, dropout: float = 0.1) -> None:
        super().__init__()
        if hidden_size % heads:
            raise ValueError(f"{heads} heads do not divide a hidden size of {hidden_size}; choose a divisor")
        if not max_value > 0:
            raise ValueError(f"the largest reward is above 0, it is {max_value}")
        self.max_value = max_value
        self.query = nn.Parameter(torch.randn(hidden_size) * hidden_size**-0.5)
        self.attention = nn.MultiheadAttention(hidden_size, heads, batch_first=True)
        self.summary = nn.Linear(hidden_size, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Values [B]; with dropout on states and summary in training mode. Raises ValueError for an empty prompt."""
        if bool((mask.sum(dim=-1) == 0).any()):
            raise ValueError("a prompt without tokens has no states to read a value from")
        states = self.dropout(states.to(self.query.dtype))
        query = self.query.expand(len(states), 1, -1)
        pooled, _ = self.attention(query, states, states, key_padding_mask=~mask.bool(), need_weights=False)
        return self.max_value * torch.sigmoid(self.summary(self.dropout(pooled)).flatten())

    @torch.no_grad()
    def values(self, states: Tensor, mask: Tensor) -> Tensor:
        """Values [B] without dropout and without gradient, whatever mode the head is in."""
        training = self.training
        self.eval()
        try:
            found: Tensor = self(states, mask)
        finally:
            self.train(training)
        return found


def value_target(rewards: Tensor) -> Tensor:
    """Mean reward of each prompt's samples, [B, K] to [B]; NaN marks a sample without a reward.

    Raises ValueError for a prompt none of whose samples has one.
    """
    target = rewards.nanmean(dim=-1)
    if bool(target.isnan().any()):
        raise ValueError(f"prompt {int(target.isnan().nonzero()[0])} has no sample with a reward; leave it out")
    return target


def value_error(values: Tensor, target: Tensor) -> Tensor:
    """Squared error per prompt, [B]; its mean is the head's loss."""
    return (values - target) ** 2

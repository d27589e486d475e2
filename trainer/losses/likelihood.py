"""Log-probabilities from logits, masked sums and means, and the supervised losses.

Equations (legend in `trainer/losses/__init__.py`):

    nll, sum       -L_b                                        mean over sequences (LoL-RL)
    nll, tokens    -(sum_b sum_t m l) / (sum_b n_b)            TRL's SFT, over the accumulated batch
    nll, sample    -L_b / n_b                                  mean over sequences (OpenRLHF's sample mode)
    DFT            -sg(e^l) l in place of -l                   Wu et al. 2025, "On the Generalization of SFT"

Sum or mean over tokens is the most consequential convention of all losses, so each has a name of its own. Leaves out
models and padding (`trainer/tensors.py`).
"""

import torch
from torch import Tensor


def label_logprobs(logits: Tensor, labels: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Log-probability of each label under its logits: [..., V] and [...] to [...], at least float32.

    Rollouts drawn at a temperature other than 1 need it in every log-probability, the policy's, the old one's and
    the reference's; TRL 0.7.1 leaves it out, and its first ratio is not 1. Raises ValueError for a temperature that
    is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"the temperature must be above 0 to give probabilities, it is {temperature}")
    scaled = _at_least_float32(logits) / temperature
    return scaled.gather(-1, labels.unsqueeze(-1)).squeeze(-1) - scaled.logsumexp(dim=-1)


def completion_logprobs(
    logits: Tensor, ids: Tensor, completion_mask: Tensor, *, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """(log-probabilities, mask), both [B, S-1], from a row's logits [B, S, V], ids [B, S] and mask [B, S].

    The logits at position s predict the token at s + 1, so logits lose their last position, ids and mask their
    first. LoL-RL's port of PRO drops the mask's last position instead: it never scores the first completion token
    and scores the one after the end.
    """
    return label_logprobs(logits[:, :-1], ids[:, 1:], temperature=temperature), completion_mask[:, 1:]


def entropy(logits: Tensor) -> Tensor:
    """Entropy of the next token in nats: [..., V] to [...]. -sum_v p log p."""
    logp = _at_least_float32(logits).log_softmax(dim=-1)
    return -(logp.exp() * logp).sum(dim=-1)


def keep(values: Tensor, mask: Tensor) -> Tensor:
    """`values` [B, T] with 0 where the mask is 0, whatever stood there, infinities and NaN too."""
    return torch.where(mask.bool(), values, torch.zeros_like(values))


def masked_sum(values: Tensor, mask: Tensor) -> Tensor:
    """Sum over each row's masked-in positions: [..., T] to [...]."""
    return keep(values, mask).sum(dim=-1)


def masked_mean(values: Tensor, mask: Tensor, *, tokens: Tensor | float | None = None) -> Tensor:
    """Mean over all masked-in positions of the batch, a scalar.

    With `tokens` the sum is divided by that count instead: the mean number of tokens per accumulation step, so that
    accumulated gradients equal those of one big batch. Raises ValueError where no position is masked in.
    """
    if not bool(mask.any()):
        raise ValueError("the mask is 0 everywhere: there is no completion token to average over")
    return keep(values, mask).sum() / (mask.sum() if tokens is None else tokens)


def sequence_nll(logprobs: Tensor, mask: Tensor) -> Tensor:
    """-L per sequence, [B]: the sum over its tokens. LoL-RL's `nll`."""
    return -masked_sum(logprobs, mask)


def sample_nll(logprobs: Tensor, mask: Tensor) -> Tensor:
    """-L / n per sequence, [B]; 0 for an empty completion."""
    return -masked_sum(logprobs, mask) / mask.sum(dim=-1).clamp(min=1)


def token_nll(logprobs: Tensor, mask: Tensor, *, tokens: Tensor | float | None = None) -> Tensor:
    """Mean of -l over all completion tokens of the batch, a scalar; `tokens` as in `masked_mean`."""
    return masked_mean(-logprobs, mask, tokens=tokens)


def dft_nll(logprobs: Tensor, mask: Tensor, *, tokens: Tensor | float | None = None) -> Tensor:
    """Dynamic fine-tuning: mean of -sg(e^l) l, a scalar. Tokens the policy finds unlikely count less.

    It is Reward-GOLD with reward 1 and no floor under the probability.
    """
    logprobs = keep(logprobs, mask)
    return masked_mean(-logprobs.detach().exp() * logprobs, mask, tokens=tokens)


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()

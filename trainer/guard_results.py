"""What guards take and give: samples of a model, and one figure with its limit and its sentence."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """One sampled completion. Log-probabilities are sums over its `tokens` in nats, at the temperature of sampling."""

    text: str
    tokens: int
    hit_limit: bool  # ended by the length limit, not by the model
    logprob: float  # under the model that made it
    initial_logprob: float  # under the initial model; for the initial model's own samples the same as logprob


@dataclass(frozen=True)
class GuardInputs:
    """One model's samples of prompts; samples[p] are those of prompt p."""

    samples: Sequence[Sequence[Sample]]
    broken_numbers: int = 0  # NaN or infinite numbers met elsewhere: in weights, losses, gradients

    @property
    def flat(self) -> list[Sample]:
        return [sample for samples in self.samples for sample in samples]

    @property
    def texts(self) -> list[str]:
        return [sample.text for sample in self.flat]


@dataclass(frozen=True)
class GuardResult:
    """One guard's figure, its limit, and the sentence that says both."""

    name: str
    passed: bool
    value: float
    limit: float
    reason: str

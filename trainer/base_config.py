"""What a person may set for every training algorithm, and what is raised for settings that break a bound.

Leaves out what each algorithm adds (`trainer/configs.py`). Free of torch.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class InvalidConfig(ValueError):
    """The values given for an algorithm break at least one bound; `problems` has one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


# fields whose defaults differ between algorithms
LearningRate = Annotated[
    float, Field(gt=0, le=1, description="Peak learning rate of AdamW; tune it within a factor of three per model.")
]
Epochs = Annotated[int, Field(ge=1, le=1000, description="Passes over the examples.")]
Rank = Annotated[int, Field(ge=1, le=1024, description="Rank of the LoRA matrices; unused with other adapters.")]
Alpha = Annotated[
    int,
    Field(
        ge=1,
        le=4096,
        description="LoRA scale: the update is multiplied by alpha / rank, with rslora by alpha / sqrt(rank).",
    ),
]
AdapterName = Literal["lora", "dora", "rslora", "bottleneck", "full"]
MergedAdapter = Annotated[
    Literal["lora", "dora", "rslora", "full"],
    Field(
        description="What is trained: LoRA, DoRA or rsLoRA on all linear layers, or the full weights; the result is "
        "one whole model, into which a bottleneck cannot be merged.",
    ),
]
"""For algorithms that make a whole model of what they have trained."""


class AlgorithmConfig(BaseModel):
    """What every algorithm has: the optimiser, the length of the run, what is trained, and the seed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    learning_rate: LearningRate = 1e-3
    epochs: Epochs = 5
    max_steps: int = Field(
        0,
        ge=0,
        le=10_000_000,
        description="Optimiser steps after which the run ends whatever the epochs; 0 sets no limit.",
    )
    batch_size: int = Field(8, ge=1, le=4096, description="Examples in one forward pass.")
    gradient_accumulation: int = Field(
        1, ge=1, le=4096, description="Batches whose gradients are averaged into one optimiser step."
    )
    warmup_share: float = Field(
        0.1, ge=0, le=1, description="Share of the steps over which the learning rate rises from 0 to its peak."
    )
    schedule: Literal["linear", "cosine", "constant"] = Field(
        "linear", description="How the learning rate goes on from its peak: down to 0 at the end, or not at all."
    )
    adapter: AdapterName = Field(
        "lora",
        description="What is trained: LoRA, DoRA or rsLoRA on all linear layers, a bottleneck at every MLP, or the "
        "full weights.",
    )
    rank: Rank = 4
    alpha: Alpha = 8
    bottleneck_size: int = Field(32, ge=1, le=65_536, description="Width of a bottleneck; unused with other adapters.")
    bottleneck_activation: Literal["relu", "gelu", "silu"] = Field(
        "gelu", description="What stands between a bottleneck's two layers."
    )
    bottleneck_placement: Literal["in", "instead"] = Field(
        "in",
        description="Behind each MLP, or instead of it: then the run does not start at the initial model and has much "
        "to relearn.",
    )
    max_length: int = Field(
        512, ge=16, le=1_000_000, description="Tokens of prompt and completion together; older turns are dropped first."
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, description="Seed of the initial adapter and of the order of the examples."
    )
    preferences: str = Field(
        "auto",
        pattern=r"^(auto|all|last [1-9][0-9]*)$",
        description="Which preferences are learnt from: auto (all, unless wishes have changed), all, or last N.",
    )
    save_steps: int = Field(
        50, ge=1, le=1_000_000, description="Optimiser steps between two saves that an interrupted run resumes from."
    )
    threads: int = Field(1, ge=1, le=256, description="CPU threads the trainer process computes with.")

    @property
    def needs_choices(self) -> bool:
        """Whether a project without a single choice has nothing that a run could learn from."""
        return True

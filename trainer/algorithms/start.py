"""Where a run that optimises a policy begins: the base, what is trained on it, and the reference it is held to.

Adapters never stack: an adapter checkpoint as source is the same adapter, trained further on the same base, and
the reference stays that base. Leaves out choosing the source (`trainer/worker.py`).
"""

from dataclasses import dataclass
from typing import Any

import torch

from trainer.adapters import (
    attach_adapter,
    bottleneck_settings,
    changes_start,
    continue_adapter,
    refuse_unmergeable,
)
from trainer.base_config import AlgorithmConfig
from trainer.manifest import base_of, check_base, is_checkpoint, read_manifest
from trainer.policy import Policy, load_policy
from trainer.sources import resolve_source, source_digest
from trainer.tensors import disable_dropout


@dataclass(frozen=True)
class Start:
    """The source, the base under the weights that are trained, and what the policy is held to."""

    source: str
    base: Policy
    base_source: str
    reference: Policy
    continues_adapter: bool
    changed: bool = False  # by a fresh adapter that is another model from the first step on

    @property
    def is_reference(self) -> bool:
        return not (self.continues_adapter or self.changed) and self.reference.digest == self.base.digest


def open_start(
    policy_source: str,
    reference_source: str | None,
    config: AlgorithmConfig,
    *,
    device: str,
    initial_source: str | None = None,
) -> Start:
    """Load the base of the source, and the reference where it is another model.

    `initial_source` is where the initial model lies now, for an adapter that records another place.
    """
    folder = resolve_source(policy_source)
    manifest = read_manifest(folder) if is_checkpoint(folder) else None
    continues = manifest is not None and manifest.kind == "adapter"
    base_source = base_of(folder, elsewhere=initial_source) if continues else policy_source
    dtype = torch.float32 if config.adapter == "full" else None
    base = load_policy(base_source, device=device, dtype=dtype)
    if manifest is not None and continues:
        check_base(folder, manifest, base.digest)
    other = reference_source is not None and source_digest(reference_source) != base.digest
    reference = load_policy(str(reference_source), device=device) if other else base
    return Start(policy_source, base, base_source, reference, continues, changes_start(config))


def trainable(start: Start, config: AlgorithmConfig) -> Any:
    """The model to train: the source's adapter further, a fresh adapter on the base, or all weights."""
    if not start.continues_adapter:
        model = attach_adapter(
            start.base.model,
            kind=config.adapter,
            rank=config.rank,
            alpha=config.alpha,
            bottleneck=bottleneck_settings(config),
        )
    elif config.adapter != "full":
        model = continue_adapter(start.base.model, resolve_source(start.source), kind=config.adapter)
    else:
        refuse_unmergeable(start.source)
        merged = load_policy(
            start.source, device=str(start.base.model.device), dtype=torch.float32, base=start.base_source
        )
        model = attach_adapter(merged.model, kind="full", rank=config.rank, alpha=config.alpha)
    disable_dropout(model)
    return model

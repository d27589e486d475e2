"""A MeasuringTrainer whose optimiser step has the loss of all its examples, however they are divided.

    loss = sum of the losses of the step's examples / their number

over all forward passes and processes, also where the last step of a pass over the data has fewer examples. The library
fills such a step up for all processes with examples from the beginning; these have no weight here. Leaves out the
losses, which are its subclasses', and how examples are divided (`division.py`).
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from transformers import Trainer

from trainer.algorithms.measuring import MeasuringTrainer

WEIGHT = "example_weights"


class Weighing:
    """A collator that gives each example of its batch the weight 1, [B]."""

    def __init__(self, collate: Any) -> None:
        self.collate = collate

    def __call__(self, examples: Sequence[Any]) -> dict[str, Any]:
        return {**self.collate(examples), WEIGHT: torch.ones(len(examples))}


class DividedTrainer(MeasuringTrainer, ABC):
    """Subclasses give `losses`, one for each example of a batch.

    `step_means` has the mean over the step's examples of each batch entry [B] that `averaged` names, for losses that
    are normalised by more than the number of examples.
    """

    loss_is_scaled_for_ga = True
    averaged: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, data_collator: Any, **arguments: Any) -> None:
        super().__init__(data_collator=Weighing(data_collator), **arguments)
        self.step_means: dict[str, float] = {}
        self._counted = torch.ones(0, dtype=torch.bool)

    @abstractmethod
    def losses(self, model: Any, inputs: dict[str, Tensor]) -> Tensor:
        """The loss of each example, [B]."""

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> tuple[list[Any], Any]:
        """The batches of one optimiser step, and the number of examples in it, of all processes."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        if batches and (repeated := repeated_rows(self)):
            batches[-1][WEIGHT][-repeated:] = 0.0
        sums = [sum((b[WEIGHT] * b[name]).sum() for b in batches) for name in self.averaged]
        told = torch.stack([torch.as_tensor(sum(b[WEIGHT].sum() for b in batches)), *map(torch.as_tensor, sums)])
        count, *totals = self.accelerator.reduce(told.float().to(device), "sum").tolist()
        self.step_means = {name: total / count for name, total in zip(self.averaged, totals, strict=True)}
        return batches, count

    def compute_loss(
        self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        weights = inputs.pop(WEIGHT)
        self._counted = weights > 0
        losses = (self.losses(model, inputs) * weights).sum()
        count = weights.sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
        # what processes have found is averaged, not added up
        loss = losses / count * self.accelerator.num_processes
        return (loss, {}) if return_outputs else loss

    def loss_of(self, examples: Sequence[Any]) -> dict[str, float]:
        """The mean loss of examples that are not learnt from, and means of what it measures; no gradient, no trace.

        Every process goes over all of them.
        """
        rows = self.args.per_device_train_batch_size
        batches = [self.data_collator(list(examples[at : at + rows])) for at in range(0, len(examples), rows)]
        model = self.accelerator.unwrap_model(self.model)
        before = self._noted, self.step_means, model.training
        self._noted = defaultdict(list)
        self.step_means = {name: float(torch.cat([b[name] for b in batches]).mean()) for name in self.averaged}
        model.eval()
        total = 0.0
        with torch.no_grad(), self.compute_loss_context_manager():
            for batch in batches:
                inputs = cast(dict[str, Any], self._prepare_inputs(batch))
                self._counted = inputs.pop(WEIGHT) > 0
                total += float(self.losses(model, inputs).sum())
        found = {"loss": total / len(examples)} | self.measured()
        self._noted, self.step_means, training = before
        model.train(training)
        return found

    def note(self, values: Mapping[str, Tensor], *, where: Tensor | None = None) -> None:
        super().note(values, where=self._counted if where is None else self._counted & (where > 0))


def repeated_rows(trainer: Trainer) -> int:
    """How many rows at the end of this process's last batch are there again, to fill up the processes' last batches."""
    accelerator, rows = trainer.accelerator, trainer.args.per_device_train_batch_size
    at_once = rows * accelerator.num_processes
    left = len(trainer.train_dataset) % at_once  # type: ignore[arg-type]
    if accelerator.num_processes == 1 or not left or not accelerator.gradient_state.end_of_dataloader:
        return 0
    return rows - min(max(left - accelerator.process_index * rows, 0), rows)

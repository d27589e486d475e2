"""Looks at what a run does not learn from, every so many steps: they may end it and say which step is kept.

    looks = open_looks(config, unseen, trainer, start.base, prepare, ...)   # None: none are made
    run_trainer(trainer, reporter, work, looks=looks)

By the loss on pairs of validation prompts, or by the mean reward of the policy's own greedy completions of such prompts
(Baheti et al. 2023 keep the checkpoint by the latter: the lowest loss is not the best text). What a look found and the
best weights are kept beside the saves; a run that goes on does not look again where it has been. With few pairs a loss
says too little to end a run by: none is looked at then, and this is said. Leaves out which pairs and prompts there are
(`trainer/dataset.py`), and the settings (`trainer/validation_fields.py`).
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import TrainerCallback

from trainer.algorithms import together
from trainer.algorithms.division import is_main
from trainer.examples import Question
from trainer.generation import generate
from trainer.policy import Policy
from trainer.reporter import Reporter, Stopped
from trainer.rewards.base import Reward
from trainer.rewards.composition import Composition
from trainer.sampling import Sampling
from trainer.validation_fields import Looks

LEAST = 50
"""Examples under which a loss decides nothing."""
MOST = 400
"""Examples of one look, so that a large import does not make looks dearer than the training."""
LOOKED_AT = 64
NEW_TOKENS = 128


class Measuring(Protocol):
    """A Trainer of the library that can say what its loss is on what it does not learn from."""

    model: Any
    accelerator: Any

    def loss_of(self, examples: Sequence[Any]) -> dict[str, float]: ...


@dataclass(frozen=True)
class Unseen:
    """What a run does not learn from: examples as its own are, and where a reward judges, prompts to complete."""

    examples: Sequence[Any] = ()
    questions: Sequence[Question] = ()
    reward: Reward | None = None

    def chosen(self, seed: int) -> list[Any]:
        """The examples of every look: all of them, or MOST of them drawn by the seed."""
        if len(self.examples) <= MOST:
            return list(self.examples)
        return random.Random(seed).sample(list(self.examples), MOST)


NOTHING = Unseen()


@dataclass
class Validation:
    """The looks of one run, by step. `name` is the metric that they go by."""

    settings: Looks
    measure: Callable[[], Mapping[str, float]]
    name: str
    higher: bool
    work: Path
    reporter: Reporter
    each: int = 1  # the library's optimiser steps in a step of the run
    found: dict[int, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self._record.is_file():
            self.found = {int(step): told for step, told in json.loads(self._record.read_text()).items()}

    @property
    def _record(self) -> Path:
        return self.work / "looks.json"

    @property
    def _weights(self) -> Path:
        return self.work / "best.safetensors"

    def due(self, step: int, total: int) -> bool:
        return step % self.settings.validate_every == 0 or step == total

    def look(self, step: int, model: Any) -> dict[str, float]:
        """What is measured at this step, under `validation/...`; the weights are kept where nothing was better."""
        if step not in self.found:
            self.reporter.stage("looking at what is not learnt from")
            told = {f"validation/{name}": value for name, value in self.measure().items()}
            self.reporter.stage("training")
            better = all(self._value(told) > self._value(before) for before in self.found.values())
            self.found[step] = told
            if is_main():
                self._keep(model if better and self.settings.keep == "best" else None, step)
        return self.found[step]

    def ends(self, step: int) -> bool:
        """Whether as many looks as patience has have found nothing better than one before them."""
        made = [number for number in sorted(self.found) if number <= step]
        if not made:
            return False
        since = len(made) - 1 - made.index(self.best(made))
        over = 0 < self.settings.patience <= since
        if over:
            self.reporter.log(
                f"{since} looks found no better {self.name} than step {self.best(made)}; training ends here"
            )
        return over

    def best(self, steps: Sequence[int] | None = None) -> int:
        """The first step of those that no other is better than."""
        made = sorted(self.found) if steps is None else steps
        return max(made, key=lambda step: (self._value(self.found[step]), -step))

    def close(self, step: int, model: Any) -> dict[str, float]:
        """A last look at the end, the weights that are to be kept, and what was seen at their step."""
        self.look(step, model)
        if self.settings.keep == "best":
            step = self.best()
            self._restore(step, model)
        return self.found[step] | {"validation/step": float(step)}

    def _restore(self, best: int, model: Any) -> None:
        """Raises ValueError where the weights in the folder are of another step."""
        together.wait()
        with safe_open(self._weights, framework="pt") as file:  # type: ignore[no-untyped-call]
            kept = int(file.metadata()["step"])
            if kept != best:
                raise ValueError(f"{self._weights} has the weights of step {kept}, and step {best} was the best")
            with torch.no_grad():
                for name, weight in trained(model).items():
                    weight.copy_(file.get_tensor(name))
        self.reporter.log(f"step {best} had the best {self.name}, {self.found[best][self.name]:.4g}; it is kept")

    def _value(self, told: Mapping[str, float]) -> float:
        return told[self.name] if self.higher else -told[self.name]

    def _keep(self, model: Any, step: int) -> None:
        """The weights first: a look that is on record has them."""
        if model is not None:
            self.work.mkdir(parents=True, exist_ok=True)
            partial = self._weights.with_suffix(".tmp")
            weights = {name: weight.detach().cpu().contiguous() for name, weight in trained(model).items()}
            save_file(weights, partial, {"step": str(step)})
            partial.replace(self._weights)
        _write(self._record, self.found)


def trained(model: Any) -> dict[str, torch.Tensor]:
    """The weights that a run changes."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def open_looks(
    settings: Looks,
    unseen: Unseen,
    trainer: Measuring,
    base: Policy,
    prepare: Callable[[Sequence[Any]], Sequence[Any]],
    *,
    seed: int,
    work: Path,
    reporter: Reporter,
) -> Validation | None:
    """The looks of a run, by the trainer's loss or by the reward that judges; None, with the reason, if none are made.

    `base` has the tokenizer; `prepare` makes of examples what the trainer's collator takes. Raises ValueError for a
    reward without prompts.
    """
    if not settings.validate_every:
        return None
    if unseen.reward is not None:

        def policy() -> Policy:
            return replace(base, model=trainer.accelerator.unwrap_model(trainer.model))

        return open_text_looks(settings, unseen, policy, work=work, reporter=reporter)
    if len(unseen.examples) < LEAST:
        if settings.patience or settings.keep == "best":
            reporter.log(
                f"there are {len(unseen.examples)} validation examples, and under {LEAST} a loss says too little: the "
                "run makes all its steps and keeps the last"
            )
        return None
    rows = prepare(unseen.chosen(seed))
    return Validation(settings, lambda: trainer.loss_of(rows), "validation/loss", False, work, reporter)


def open_text_looks(
    settings: Looks,
    unseen: Unseen,
    policy: Callable[[], Policy],
    *,
    work: Path,
    reporter: Reporter,
    each: int = 1,
) -> Validation | None:
    """The looks of a run by the reward that judges what `policy()`, as it is now, writes; None where none are made."""
    if not settings.validate_every or (reward := unseen.reward) is None:
        return None
    if not unseen.questions:
        raise ValueError("there are no validation prompts to complete; import some, or set validate_every to 0")

    def rewarded() -> dict[str, float]:
        return {"reward": mean_reward(policy(), unseen.questions, steady(reward, work), reporter)}

    return Validation(settings, rewarded, "validation/reward", True, work, reporter, each)


def steady(reward: Reward, work: Path) -> Reward:
    """A composed reward by its statistics at the first look, so that looks can be compared; others as they are."""
    if not isinstance(reward, Composition):
        return reward
    record = work / "looks_scale.json"
    if is_main() and not record.is_file():
        _write(record, reward.state())
    together.wait()
    return reward.at(json.loads(record.read_text()))


def _write(record: Path, told: Any) -> None:
    record.parent.mkdir(parents=True, exist_ok=True)
    partial = record.with_suffix(".tmp")
    partial.write_text(json.dumps(told))
    partial.replace(record)


def mean_reward(policy: Policy, asked: Sequence[Question], reward: Reward, reporter: Reporter) -> float:
    """The mean reward of greedy completions of the first of these prompts. Raises Stopped, ValueError for none."""
    asked = asked[:LOOKED_AT]
    prompts = [question.prompt for question in asked]
    made = generate(
        policy,
        prompts,
        sampling=Sampling(temperature=0.0, max_new_tokens=NEW_TOKENS),
        seeds=[0] * len(prompts),
        should_stop=reporter.should_stop,
    )
    if reporter.should_stop():
        raise Stopped("stopped while validation prompts were completed; the run can be resumed")
    given = prompts, [one.text for one in made], [question.reference for question in asked]
    if isinstance(reward, Composition):
        ended = [one.finish_reason == "stop" for one in made]
        found = reward.score(*given, ended=ended, learn=False).rewards
    else:
        found = reward(*given)
    known = [value for value in found if value is not None]
    if not known:
        raise ValueError(f"the reward says nothing of any of {len(prompts)} completions of validation prompts")
    return sum(known) / len(known)


class LookingCallback(TrainerCallback):
    """Looks at every so many steps of the library's Trainer and at its last; what was found is logged with the step."""

    def __init__(self, looks: Validation) -> None:
        self.looks = looks
        self._told: dict[str, float] = {}

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        looks = self.looks
        step, within = divmod(state.global_step, looks.each)
        if within or not looks.due(step, state.max_steps // looks.each):
            return
        self._told = looks.look(step, model)
        if state.global_step < state.max_steps and looks.ends(step):
            control.should_training_stop = True
            control.should_save = False  # a run killed from here on must find this end again, not go past it

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if logs is not None and "loss" in logs:
            logs |= self._told
            self._told = {}

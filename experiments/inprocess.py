"""PrefLoop's real parts in one process and one thread, without a web server: what the experiments here are made on.

    with Project(folder, seed=0) as project:
        project.label(by_rule(polite), 100)
        trained = project.train()
        print(trained.outcome, project.measure(trained.checkpoint_id, {"polite": polite}))

Comparisons, preferences, run, gate and ledger are the product's own; only the person is a rule. With the same seed
and weights the same figures come again. The initial model's samples are kept in one folder for all projects.
"""

import os
import random
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}

import psutil
import torch

from app.comparisons import ComparisonMaker
from app.labelling import Labelling
from app.main import build_application
from app.selection import SELECTIONS, Selection
from app.settings import Settings
from storage.evaluations import get_gate_decision
from storage.runs import claim_run, get_run
from storage.tables import Choice, RunStatus
from storage.transfer import import_file
from trainer.generation import generate
from trainer.prompting import Messages
from trainer.sampling import Sampling
from trainer.starter import PROMPTS
from trainer.starter.check import is_right, is_well_formed, packaged_prompts
from trainer.worker import Worker

Rule = Callable[[Messages, str], bool]
Labeller = Callable[[Messages, str, str], Choice]
"""(the prompt's messages, left text, right text) -> choice."""

SHOWN = Sampling(temperature=1.0, max_new_tokens=160)
MEASURED = Sampling(temperature=0.7, max_new_tokens=160)


def by_rule(rule: Rule) -> Labeller:
    """Prefers the side that satisfies the rule; a tie where both do, or neither."""

    def choose(messages: Messages, left: str, right: str) -> Choice:
        liked = rule(messages, left), rule(messages, right)
        return Choice.tie if liked[0] == liked[1] else Choice.left if liked[0] else Choice.right

    return choose


def at_random(seed: int) -> Labeller:
    """Decides every pair by a coin."""
    chance = random.Random(seed)
    return lambda messages, left, right: chance.choice([Choice.left, Choice.right])


@dataclass(frozen=True)
class Trained:
    """A run that succeeded: its checkpoint and what the gate said."""

    checkpoint_id: str
    outcome: str
    reasons: list[str]


@dataclass(frozen=True)
class Measured:
    """Shares in 0..1 of `n` completions of held-out prompts at temperature 0.7.

    distinct: different texts among the first completions of all prompts; one text for every prompt gives nearly 0.
    """

    n: int
    shares: dict[str, float]
    right: float
    well_formed: float
    distinct: float


class Project:
    """One data directory, labelled by `label`, trained by `train`; nothing happens by itself."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        selection: Selection | None = None,
        samples: int | None = None,
        shared_samples: Path | None = None,
        canary: bool = False,
        gate_prompts: int = 300,
    ) -> None:
        torch.set_num_threads(1)
        folder.mkdir(parents=True)
        if shared_samples is not None:
            shared_samples.mkdir(parents=True, exist_ok=True)
            (folder / "samples").symlink_to(shared_samples.resolve())
        self.seed = seed
        self.settings = Settings(
            data_dir=folder, auto_train=False, canary=canary, device="cpu", gate_prompts=gate_prompts
        )
        self.application = build_application(self.settings)
        maker = ComparisonMaker(
            self.application.database,
            self.application.engine,
            ahead=self.settings.comparisons_ahead,
            sampling=SHOWN,
            samples=samples or self.settings.samples_of_a_prompt,
            selection=selection or SELECTIONS[self.settings.selection](),
            seed=seed,
        )
        self.labelling = Labelling(self.application.database, maker)
        self._labels = 0

    def __enter__(self) -> Self:
        self.application.bind()
        import_file(
            self.application.database,
            path_or_stream=PROMPTS,
            format="prompts",
            source="starter",
            offered=True,
            strict=True,
        )
        if failure := self.application.promotion.open():
            raise RuntimeError(failure)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.labelling.close()
        self.application.engine.close()
        self.application.slot.close()
        self.application.database.close()

    def label(self, labeller: Labeller, count: int) -> int:
        """`count` choices; how many of them were decided. Evaluation comparisons are labelled too, as by people."""
        decided = 0
        for _ in range(count):
            self.labelling.refill()
            shown = self.labelling.next_comparison(labeller_id="rule", wait_s=0)
            if shown is None:
                raise RuntimeError("there are no prompts left to compare")
            choice = labeller(shown.messages, shown.left, shown.right)
            decided += choice is not Choice.tie
            self._labels += 1
            self.labelling.record_choice(
                comparison_id=shown.id,
                labeller_id="rule",
                choice=choice,
                client_id=uuid.UUID(int=self._labels).hex,
            )
            self.application.promotion.watch_canary()  # does nothing where the canary is off
        return decided

    def train(self, algorithm: str = "dpo", **config: Any) -> Trained:
        """One run from queueing to the gate's decision. Raises RuntimeError where it fails."""
        database, run_id = self.application.database, self.run(algorithm, **config)
        with database.read() as session:
            ended, decision = get_run(session, run_id), get_gate_decision(session, run_id)
        if ended.status is not RunStatus.succeeded or decision is None:
            raise RuntimeError(f"{run_id} {ended.status}: {ended.error}")
        return Trained(run_id, str(decision.outcome), list(decision.reasons))

    def run(self, algorithm: str, **config: Any) -> str:
        """One run from queueing to its end, however it ends; its id."""
        database = self.application.database
        run_id = self.application.runs.start(algorithm=algorithm, config={"seed": self.seed, **config}).id
        with database.write() as session:
            run = claim_run(session, run_id, pid=os.getpid(), process_started_at=psutil.Process().create_time())
        Worker(
            database,
            run,
            data_dir=self.settings.data_dir,
            model_source=self.settings.model_source,
            device="cpu",
            gate_prompts=self.settings.gate_prompts,
            gate=self.settings.gate,
            stopping=threading.Event(),
        ).work()
        return run_id

    @property
    def served(self) -> str:
        """The id of the checkpoint that is served."""
        served = self.application.slot.current_id
        assert served is not None
        return served

    def serve_if_promoted(self) -> bool:
        """What the app does after the gate; whether a newer checkpoint is served now."""
        return self.application.promotion.adopt_decisions() is not None

    def measure(self, checkpoint_id: str, rules: Mapping[str, Rule], *, n: int = 1000) -> Measured:
        """Sample `n` completions of the held-out prompts in turn, seeds fixed, and apply the rules."""
        prompts = [p["messages"] for p in packaged_prompts() if p["split"] == "heldout"]
        asked = _in_turn(prompts, n)
        policy = self.application.promotion.load(checkpoint_id)
        made = generate(policy, asked, sampling=MEASURED, seeds=list(range(n)))
        rows = [(messages, g.text) for messages, g in zip(asked, made, strict=True)]
        firsts = [text for _, text in rows[: len(prompts)]]
        return Measured(
            n=n,
            shares={name: _mean(rule(m, text) for m, text in rows) for name, rule in rules.items()},
            right=_mean(is_right(m, text) is True for m, text in rows),
            well_formed=_mean(is_well_formed(text) for _, text in rows),
            distinct=len(set(firsts)) / len(firsts),
        )


def _in_turn(prompts: list[Any], n: int) -> list[list[dict[str, str]]]:
    return [[dict(message) for message in prompts[i % len(prompts)]] for i in range(n)]


def _mean(values: Iterable[bool]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)

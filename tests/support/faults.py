"""A served project that people use while faults strike it, and what must hold of it after each of them."""

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from labelled import record_choices, record_prompts
from served import ServedApp
from sqlmodel import select

from storage.checkpoints import INITIAL, list_checkpoints
from storage.comparisons import record_comparison
from storage.database import Database
from storage.evaluations import get_gate_decision
from storage.prompts import record_prompt
from storage.runs import list_runs
from storage.tables import ACTIVE, Completion, Preference, Purpose, RunStatus, Split, TrainingRun
from trainer.manifest import verify_manifest

SETTINGS: dict[str, Any] = {"gate_prompts": 8, "comparisons_ahead": 2, "max_new_tokens": 8, "auto_train": False}
RUN: dict[str, Any] = {"target_margin": 0, "max_steps": 60, "epochs": 100, "batch_size": 4, "save_steps": 5}
PACE_S = 0.2  # between two choices
GRACE_S = 20  # until a tick of a busy machine has seen what became of a process
HELLO = [{"role": "user", "content": "Hello?"}]


@dataclass
class Labeller:
    """Chooses without end, in a thread of its own; what was not acknowledged is sent again under the same id."""

    project: "FaultProject"
    acknowledged: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # client id: comparison, choice, row
    told: Counter[int] = field(default_factory=Counter)  # by status
    over: threading.Event = field(default_factory=threading.Event)

    def label(self) -> None:
        chance, number = random.Random(1), 0
        while not self.over.is_set():
            given = self._call("/api/v1/comparisons/next", {})
            if given is None or given.status_code != 200:
                self.over.wait(0.2)
                continue
            number += 1
            choice, client_id = chance.choice(["left", "right", "tie"]), f"client-{number}"
            body = {"comparison_id": given.json()["id"], "choice": choice, "client_id": client_id}
            while not self.over.is_set() and not self._chosen(body):
                self.over.wait(0.1)
            self.over.wait(PACE_S)

    def _chosen(self, body: dict[str, Any]) -> bool:
        """Whether there is an answer that settles it: a row, or a refusal."""
        answer = self._call("/api/v1/preferences", body)
        if answer is None or answer.status_code == 503:
            return False
        if answer.is_success:
            self.acknowledged[body["client_id"]] = (body["comparison_id"], body["choice"], answer.json()["id"])
        return True

    def _call(self, path: str, body: dict[str, Any]) -> httpx.Response | None:
        try:
            answer = httpx.post(self.project.app.url + path, json=body, timeout=60)
        except httpx.TransportError:
            return None
        self.told[answer.status_code] += 1
        return answer


@dataclass
class FaultProject:
    """`labeller` and runs go on through every fault; `check` says what does not hold afterwards."""

    data_dir: Path
    model: Path
    app: ServedApp
    database: Database
    labeller: Labeller = field(init=False)
    solo: dict[str, str] = field(default_factory=dict)  # what each checkpoint says to HELLO

    def __post_init__(self) -> None:
        self.labeller = Labeller(self)

    @classmethod
    def begin(cls, data_dir: Path, model: Path, *, waiting: int = 500) -> "FaultProject":
        database = Database.in_directory(data_dir)
        database.migrate()
        record_prompts(database, train=40, heldout=8)
        record_choices(database, count=40)
        record_waiting(database, count=waiting)
        project = cls(data_dir, model, ServedApp.start(data_dir, model=model, **SETTINGS), database)
        threading.Thread(target=project.labeller.label, daemon=True).start()
        return project

    def start_again(self) -> None:
        self.app = ServedApp.start(self.data_dir, model=self.model, **SETTINGS)

    def end(self) -> None:
        self.labeller.over.set()
        for run in self.runs():
            if run.status in ACTIVE and (process := process_of(run)) is not None:
                process.kill()  # its saves are of no use to anybody
        self.app.stop()
        self.database.close()

    # ------------------------------------------------------------------------------------------ what goes on

    def runs(self) -> list[TrainingRun]:
        with self.database.read() as session:
            return list_runs(session, limit=1000)

    def keep_training(self) -> None:
        """A run is under way or waits."""
        if all(run.status not in (*ACTIVE, RunStatus.queued, RunStatus.interrupted) for run in self.runs()):
            self.app.call("POST", "/api/v1/training-runs", algorithm="dpo", config=RUN)

    def promote_one(self, chance: random.Random) -> None:
        """One of the checkpoints, served or not, whose answer to HELLO is asked for first."""
        with self.database.read() as session:
            name = chance.choice([c.id for c in list_checkpoints(session)])
        if name not in self.solo:
            self.solo[name] = self.say(name)
        self.app.call("POST", "/api/v1/deployments", checkpoint_id=name)

    def say(self, model: str) -> str:
        answer = self.app.call(
            "POST", "/v1/chat/completions", model=model, messages=HELLO, temperature=1, max_tokens=24, seed=7
        )
        return str(answer["choices"][0]["message"]["content"])

    # ------------------------------------------------------------------------------------------ faults

    def strike(self, kind: str) -> str:
        """Kill -9 of `trainer`, `app` or `both`; what was struck, in words. The app is started again."""
        active = next((run for run in self.runs() if run.status in ACTIVE), None)
        stage = (active.stage or "starting") if active else "no run"
        if kind != "app" and active is not None and (process := process_of(active)) is not None:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        if kind != "trainer":
            self.app.kill()
            self.start_again()
        return stage

    # ------------------------------------------------------------------------------------------ what must hold

    def check(self) -> list[str]:
        """Everything that does not hold; runs and the page are given a moment to follow."""
        return [*self.choices_wrong(), *within(GRACE_S, self.runs_wrong), *within(GRACE_S, self.serving_wrong)]

    def choices_wrong(self) -> list[str]:
        """An acknowledged preference that is lost, changed or doubled."""
        known = dict(self.labeller.acknowledged)  # those acknowledged while the rows are read are for the next time
        wrong = [f"the database is damaged: {damage}"] if (damage := self.database.damage()) else []
        with self.database.read() as session:
            rows = list(session.exec(select(Preference).where(Preference.imported == False)))  # noqa: E712
        found = {row.client_id: (row.comparison_id, str(row.choice), row.id) for row in rows}
        wrong += [
            f"preference {one} was acknowledged as {was}, is {found.get(one)}"
            for one, was in known.items()
            if found.get(one) != was
        ]
        decided = Counter((row.comparison_id, row.labeller_id) for row in rows if row.withdrawn_at is None)
        wrong += [f"{times} preferences stand on comparison {one[0]}" for one, times in decided.items() if times > 1]
        return wrong

    def runs_wrong(self) -> list[str]:
        """A run whose state is not what has become of it."""
        runs, wrong = self.runs(), []
        if len([run for run in runs if run.status in ACTIVE]) > 1:
            wrong.append("two runs are active")
        for run in runs:
            if run.status in ACTIVE and process_of(run) is None:
                wrong.append(f"{run.id} is {run.status}, and there is no process {run.pid}")
            if run.status in (RunStatus.failed, RunStatus.interrupted) and not run.error:
                wrong.append(f"{run.id} {run.status} without a reason")
            if run.status is RunStatus.succeeded:
                with self.database.read() as session:
                    if run.checkpoint_id is None or get_gate_decision(session, run.id) is None:
                        wrong.append(f"{run.id} succeeded without a checkpoint or a decision")
        return wrong

    def serving_wrong(self) -> list[str]:
        """A checkpoint that is not whole, or a served model that is not the one of the ledger."""
        wrong = []
        with self.database.read() as session:
            rows = [c for c in list_checkpoints(session) if c.id != INITIAL]
        for row in rows:
            if verify_manifest(self.data_dir / row.source) != row.digest:
                wrong.append(f"{row.id} is not what was recorded")
        served = self.app.call("GET", "/api/v1/deployments/current")["checkpoint_id"]
        if (said := self.say("served")) != self.solo.setdefault(served, said):
            wrong.append(f"{served} says {said!r}, and said {self.solo[served]!r} before")
        ready = self.app.call("GET", "/readyz")["checkpoint_id"]
        return wrong if ready == served else [*wrong, f"{served} should be served, and {ready} is"]


def record_waiting(database: Database, *, count: int) -> None:
    """A warm queue of made-up comparisons, which no promotion drops: a random model writes little worth showing."""
    with database.write() as session:
        prompt = record_prompt(session, messages=HELLO, source="test", group_key="hello", split=Split.train)
        assert prompt.id is not None
        for number in range(count):
            sides = [Completion(prompt_id=prompt.id, text=f"{side} {number}") for side in ("this", "that")]
            record_comparison(
                session, prompt_id=prompt.id, left=sides[0], right=sides[1], purpose=Purpose.train, generation=10**6
            )


def within(seconds: float, look: Any) -> list[str]:
    """What is still wrong after so long; empty as soon as nothing is."""
    deadline = time.monotonic() + seconds
    while (wrong := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return list(wrong)


def process_of(run: TrainingRun) -> psutil.Process | None:
    """The living process that the row names, by its command line."""
    if run.pid is None or run.pid == os.getpid():
        return None
    try:
        process = psutil.Process(run.pid)
        mine = run.id in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if mine else None


@dataclass
class Round:
    kind: str
    after_s: float
    stage: str
    wrong: list[str]


def campaign(project: FaultProject, kind: str, *, rounds: int, seed: int, longest_s: float = 8.0) -> list[Round]:
    """Strike at so many random moments, while choices are made, a run is under way and checkpoints are promoted."""
    chance, done = random.Random(f"{kind} {seed}"), []
    for _ in range(rounds):
        project.keep_training()
        promoting = threading.Timer(chance.uniform(0, longest_s), _promote, [project, random.Random(chance.random())])
        promoting.daemon = True
        promoting.start()
        after = chance.uniform(0, longest_s)
        time.sleep(after)
        stage = project.strike(kind)
        promoting.join()
        done.append(Round(kind, after, stage, project.check()))
    return done


def _promote(project: FaultProject, chance: random.Random) -> None:
    """May find the app gone."""
    with suppress(httpx.TransportError, AssertionError):
        project.promote_one(chance)


def table(rounds: list[Round], project: FaultProject) -> str:
    """One line per kind of fault, for a person to read."""
    lines = [f"{'killed':<10}{'times':>6}{'in a run':>10}{'wrong':>7}"]
    for kind in dict.fromkeys(one.kind for one in rounds):
        of = [one for one in rounds if one.kind == kind]
        during, wrong = sum(one.stage != "no run" for one in of), sum(bool(one.wrong) for one in of)
        lines.append(f"{kind:<10}{len(of):>6}{during:>10}{wrong:>7}")
    ends = Counter(str(run.status) for run in project.runs())
    stages = Counter(one.stage for one in rounds)
    lines.append(f"choices acknowledged {len(project.labeller.acknowledged)}, answers {dict(project.labeller.told)}")
    lines.append(f"runs {dict(ends)}; struck while {dict(stages)}")
    return "\n".join(lines)

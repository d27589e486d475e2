"""The API over a real database: real parts above it, an engine and a slot without weights below."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes import FakeEngine, FakeSlot
from fastapi import FastAPI
from fastapi.testclient import TestClient
from labelled import record_prompts

from app import errors, security
from app.api import install_routes
from app.chat import Chat
from app.comparisons import ComparisonMaker
from app.equal_length import EqualLength
from app.evaluations import Evaluations
from app.labelling import Labelling
from app.promotion import Promotion
from app.rubrics import Rubrics
from app.runs import Runs
from app.settings import Settings
from app.win_rates import WinRates
from storage.checkpoints import record_checkpoint, record_project
from storage.database import Database
from storage.deployments import record_deployment, record_event
from storage.tables import Checkpoint, CheckpointKind, DeploymentReason
from trainer.sampling import Sampling

SAMPLING = Sampling(temperature=1.0, max_new_tokens=8)


@dataclass
class BusyEngine(FakeEngine):
    live_rows: int = 2
    waiting: int = 1


@dataclass
class Parts:
    """What the routes see of app.main.Application."""

    settings: Settings
    database: Database
    data_dir: Path
    slot: FakeSlot = field(default_factory=FakeSlot)
    engine: FakeEngine = field(default_factory=BusyEngine)
    failure: str = ""

    def __post_init__(self) -> None:
        self.runs = Runs(self.database, data_dir=self.data_dir, auto_train=True, starter=True)
        self.promotion = Promotion(
            self.database,
            self.slot,
            self.runs,
            data_dir=self.data_dir,
            initial_model="m",
            model_source="m",
            device="cpu",
        )
        self.labelling = Labelling(
            self.database, ComparisonMaker(self.database, self.engine, ahead=4, sampling=SAMPLING)
        )
        self.evaluations = Evaluations(self.database, self.settings)
        self.chat = Chat(self.database, self.engine, sampling=SAMPLING)
        self.win_rates, self.equal_length = WinRates(self.database), EqualLength(self.database)
        self.rubrics = Rubrics(self.database, self.data_dir)

    def serve_initial(self) -> None:
        with self.database.write() as session:
            record_project(session, initial_model="m", name="starter", digest="d")
            row, _ = record_deployment(session, checkpoint_id="initial", reason=DeploymentReason.initial, by="test")
            assert row.id is not None
            record_event(session, deployment_id=row.id, event="serving")
        self.slot.current_id = "initial"

    def add_checkpoint(
        self, id: str, *, kind: CheckpointKind = CheckpointKind.adapter, learned: tuple[int, ...] = ()
    ) -> None:
        with self.database.write() as session:
            made = Checkpoint(id=id, name=id, kind=kind, source=f"checkpoints/{id}", digest="d", algorithm="dpo")
            record_checkpoint(session, checkpoint=made, preference_ids=learned)


def make_settings(tmp_path: Path, **values: object) -> Settings:
    return Settings(data_dir=tmp_path / "data", allowed_hosts="testserver", **values)


def make_app(parts: object, settings: Settings) -> FastAPI:
    app = FastAPI(title="PrefLoop", summary="The loop over HTTP.")
    errors.install(app)
    security.install(app, settings)
    install_routes(app, parts)
    return app


@pytest.fixture
def parts(database: Database, tmp_path: Path) -> Parts:
    made = Parts(make_settings(tmp_path), database, tmp_path / "data")
    made.serve_initial()
    record_prompts(database, train=5, heldout=2)
    return made


@pytest.fixture
def client(parts: Parts) -> Iterator[TestClient]:
    with TestClient(make_app(parts, parts.settings)) as client:
        yield client


@pytest.fixture
def labeller() -> Callable[[str], dict[str, str]]:
    """labeller("a") is the cookie header of one browser, labeller("b") of another."""
    return lambda name: {"Cookie": f"prefloop_labeller={name.encode().hex().zfill(32)}"}

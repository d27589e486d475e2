"""The app's own life: what it says of a model that cannot be loaded, and how fast it ends."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.main import Application, build_application
from app.settings import Settings
from storage.deployments import current_deployment
from storage.errors import Unavailable
from trainer.launcher import Launcher


def make(tmp_path: Path, model: Path) -> Application:
    settings = Settings(
        data_dir=tmp_path / "data", model=str(model), auto_train=False, max_new_tokens=8, comparisons_ahead=1
    )
    application = build_application(settings)
    application.bind()
    return application


@pytest.fixture
def application(tmp_path: Path, tiny_model_dir: Path) -> Iterator[Application]:
    application = make(tmp_path, tiny_model_dir)
    yield application
    application.close()


@pytest.fixture
def broken_model(tmp_path: Path, tiny_model_dir: Path) -> Path:
    folder = tmp_path / "broken"
    shutil.copytree(tiny_model_dir, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    return folder


def test_a_model_that_cannot_be_loaded_is_told_with_the_reason(tmp_path: Path, broken_model: Path) -> None:
    application = make(tmp_path, broken_model)
    application.open()
    assert not application.ready
    assert "initial could not be put into service" in application.failure
    application.close()


def test_the_next_start_tries_a_model_that_could_not_be_loaded_again(
    tmp_path: Path, broken_model: Path, tiny_model_dir: Path
) -> None:
    application = make(tmp_path, broken_model)
    application.open()
    application.close()
    again = make(tmp_path, broken_model)
    with again.database.read() as session:
        assert current_deployment(session) is not None
    again.close()


def test_an_app_that_never_opened_closes(application: Application) -> None:
    assert not application.ready


def test_an_app_that_is_closed_while_its_model_loads_starts_no_clock(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, go_on = threading.Event(), threading.Event()

    def slow_load() -> None:
        loading.set()
        go_on.wait(60)

    monkeypatch.setattr(application.promotion, "open", slow_load)
    opening = threading.Thread(target=application.open)
    opening.start()
    assert loading.wait(60)
    application.close()
    go_on.set()
    opening.join(10)
    assert not any(thread.name.startswith("APScheduler") for thread in threading.enumerate())


def test_closing_ends_a_refill_and_whoever_waits_at_once(application: Application) -> None:
    application.open()
    assert application.ready
    told: list[Exception] = []

    def wait() -> None:
        try:
            for _ in range(100):
                application.labelling.next_comparison(labeller_id=None)
        except Unavailable as error:
            told.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.5)
    started = time.monotonic()
    application.close()
    waiting.join(5)
    assert time.monotonic() - started < 3
    assert len(told) == 1


def test_a_run_is_told_to_stop_when_the_app_ends(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    application.open()
    launched = []
    launch = Launcher.launch
    monkeypatch.setattr(Launcher, "launch", lambda self, run_id: launched.append(launch(self, run_id)) or launched[-1])
    application.runs.start(algorithm="dpo")
    deadline = time.monotonic() + 30
    while not launched and time.monotonic() < deadline:
        time.sleep(0.05)
    application.close()
    assert launched and not launched[0].alive()


def test_one_sample_cannot_be_compared_and_unset_goes_by_the_model() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        Settings(samples=1)
    assert Settings().samples_of_a_prompt == 16
    assert Settings(model="some/model").samples_of_a_prompt == 4
    assert Settings(samples=2).samples_of_a_prompt == 2

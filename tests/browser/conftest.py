"""A real server over real rows, seen by a real Chromium: only the model is scripted (its texts are hostile and long).

The parts, the API and the security middleware are the product's; `Script` stands for the engine and the slot, so
that nothing is trained or loaded here.
"""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fakes import FakeSlot
from fastapi import FastAPI
from labelled import record_prompts
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright
from rows import record_history

from app import errors, security
from app.api import install_routes
from app.chat import Chat
from app.comparisons import ComparisonMaker
from app.evaluation_clock import EvaluationClock
from app.evaluations import Evaluations
from app.labelling import Labelling
from app.main import Application
from app.promotion import Promotion
from app.runs import Runs
from app.serving.ticket import Ticket
from app.settings import Settings
from app.ui.page import mount_page
from storage.database import Database
from trainer.decoding import RowUpdate
from trainer.launcher import Launcher
from trainer.sampling import Generated, Sampling

CHROMIUM = os.environ.get("CHROMIUM_PATH") or shutil.which("chromium") or shutil.which("google-chrome")


@dataclass
class Script:
    """An engine that writes numbered texts, word by word where `pause_s` says so."""

    slot: FakeSlot
    pause_s: float = 0.0
    texts: list[str] = field(default_factory=list)
    made: int = 0

    def submit(
        self, messages_list: Sequence[Any], *, sampling: Any, seeds: Sequence[int], checkpoint_id: str | None = None
    ) -> Ticket:
        ticket = Ticket(checkpoint_id or str(self.slot.current_id), prompt_tokens=[1] * len(messages_list))
        texts = [self._next() for _ in messages_list]
        threading.Thread(target=self._write, args=(ticket, texts), daemon=True).start()
        return ticket

    def _next(self) -> str:
        self.made += 1
        return self.texts.pop(0) if self.texts else f"This is completion number {self.made}, and it says hello."

    def _write(self, ticket: Ticket, texts: list[str]) -> None:
        for row, text in enumerate(texts):
            written = ""
            for word in text.split(" "):
                if ticket.cancelled:
                    break
                piece = word if not written else f" {word}"
                written += piece
                ticket.deliver([RowUpdate(row, piece, None)])
                time.sleep(self.pause_s)
            reason = "cancelled" if ticket.cancelled else "stop"
            made = Generated(text=written, token_ids=(1,), finish_reason=reason, logprob=-1.0, tokens=1)
            ticket.deliver([RowUpdate(row, "", made)])
        ticket.end()

    def close(self) -> None:
        pass


@dataclass
class World:
    """The running app: its parts to look behind the page, and its address."""

    application: Application
    engine: Script
    database: Database
    url: str


class _Clock:
    """The scheduler of this world: comparisons are refilled, no training run is launched."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def build(data_dir: Path, **given: Any) -> tuple[FastAPI, Application, Script]:
    settings = Settings(data_dir=data_dir, port=0, **given)
    database = Database.in_directory(data_dir)
    database.migrate()
    slot = FakeSlot(current_id="initial")
    engine: Any = Script(slot)
    runs = Runs(database, data_dir=data_dir, auto_train=True, starter=True)
    promotion = Promotion(
        database, slot, runs, data_dir=data_dir, initial_model="starter", model_source="starter", device="cpu"
    )
    maker = ComparisonMaker(database, engine, ahead=6, sampling=Sampling(max_new_tokens=160))
    chat = Chat(database, engine, sampling=Sampling(temperature=0.7, max_new_tokens=160))
    clock: Any = _Clock()
    launcher = Launcher(data_dir, database.url, settings.model_source, "cpu", 8)
    application = Application(
        settings,
        database,
        slot,
        engine,
        Labelling(database, maker),
        chat,
        runs,
        promotion,
        clock,
        Evaluations(database, settings),
        EvaluationClock(database, launcher, data_dir=data_dir),
    )
    app = FastAPI(title="PrefLoop", lifespan=_refilling(application))
    app.state.application = application
    errors.install(app)
    security.install(app, settings)
    install_routes(app, application)
    return mount_page(app, application), application, engine


def _refilling(application: Application) -> Any:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> Any:
        ended = threading.Event()

        def refill() -> None:
            while not ended.wait(0.1):
                application.labelling.refill()
                application.evaluation_clock.tick()

        thread = threading.Thread(target=refill, daemon=True)
        thread.start()
        yield
        ended.set()
        thread.join()

    return lifespan


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Start a world in a folder of its own: `serve(history=True)` has runs, choices and conversations in it; `rows`
    fills it otherwise, and settings of the app can be given."""
    stops: list[Callable[[], None]] = []

    def start(
        *, history: bool = False, prompts: int = 40, rows: Callable[..., None] | None = None, **settings: Any
    ) -> World:
        app, application, engine = build(tmp_path / "data", **settings)
        if rows is not None:
            rows(application.database, tmp_path / "data")
        elif history:
            record_history(application.database, tmp_path / "data", slot=application.slot)
        else:
            record_prompts(application.database, train=prompts, heldout=4)
            record_history(application.database, tmp_path / "data", slot=application.slot, only_serving=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        config = uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server ended while it was starting"
            time.sleep(0.02)

        def stop() -> None:
            server.should_exit = True
            thread.join(timeout=10)
            application.evaluation_clock.stop()
            application.database.close()

        stops.append(stop)
        return World(application, engine, application.database, f"http://127.0.0.1:{port}")

    yield start
    for stop in stops:
        stop()


@pytest.fixture
def world(serve: Callable[..., World]) -> World:
    return serve()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.fail("No Chromium was found: install the package chromium, or name one in CHROMIUM_PATH.", pytrace=False)
    expect.set_options(timeout=20_000)  # the charts' 4 MB of script take seconds on a busy machine
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page with what it did besides what was asked: console errors, requests that left the server, dialogs."""

    page: Page
    console: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Watched]]:
    """Open the world's page; requests to anywhere else are recorded and refused."""
    contexts: list[BrowserContext] = []

    def open_page(
        world: World, tab: str = "label", *, width: int = 1280, height: int = 800, dark: bool = False
    ) -> Watched:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        watched = Watched(page)

        def guard(route: Route) -> None:
            if route.request.url.startswith((world.url, "data:", "blob:")):
                route.continue_()
            else:
                watched.strays.append(route.request.url)
                route.abort()

        page.route("**/*", guard)
        page.on(
            "console", lambda m: watched.console.append(f"{m.text} {m.location['url']}") if m.type == "error" else None
        )
        page.on("pageerror", lambda e: watched.console.append(str(e)))
        page.on("dialog", lambda d: (watched.dialogs.append(d.message), d.accept()))
        page.goto(f"{world.url}/#{tab}")
        page.wait_for_selector(f"body[data-page='{tab.split('/')[0]}']", timeout=30_000)
        return watched

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def lived(serve: Any) -> Any:
    """An app with runs, decisions and deployments behind it."""
    return serve(history=True)

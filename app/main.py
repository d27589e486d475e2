"""create_app: the whole program wired together. Nothing is built at import; tests pass their own settings.

The REST routes come first, then Gradio at /. The lifespan loads the served model, starts the clock, and on the way
out ends both; a trainer that is running is told to save and stop.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version

from fastapi import FastAPI

from app import errors, security
from app.api import install_routes
from app.chat import Chat
from app.comparisons import ComparisonMaker
from app.equal_length import EqualLength
from app.evaluation_clock import EvaluationClock
from app.evaluations import Evaluations
from app.labelling import Labelling
from app.promotion import Promotion
from app.rubrics import Rubrics
from app.runs import Runs
from app.scheduler import TICK_S, Scheduler
from app.selection import SELECTIONS
from app.serving.engine import Engine
from app.serving.slot import Slot
from app.settings import Settings
from app.ui.page import mount_page
from app.win_rates import WinRates
from storage.database import Database
from storage.transfer import import_file
from trainer.launcher import Launcher
from trainer.sampling import Sampling
from trainer.starter import PROMPTS

log = logging.getLogger(__name__)


@dataclass
class Application:
    """What the routes and the tabs share. `ready` is true once a model is served; `failure` says why none will be."""

    settings: Settings
    database: Database
    slot: Slot
    engine: Engine
    labelling: Labelling
    chat: Chat
    runs: Runs
    promotion: Promotion
    scheduler: Scheduler
    evaluations: Evaluations
    evaluation_clock: EvaluationClock
    failure: str = ""
    bound: bool = False
    win_rates: WinRates = field(init=False)
    equal_length: EqualLength = field(init=False)
    rubrics: Rubrics = field(init=False)

    def __post_init__(self) -> None:
        self.win_rates, self.equal_length = WinRates(self.database), EqualLength(self.database)
        self.rubrics = Rubrics(self.database, self.settings.data_dir)

    @property
    def ready(self) -> bool:
        return self.slot.current_id is not None

    def bind(self) -> None:
        """Migrate, and bind the data directory to its model, once: its weights are read for that. Raises Conflict when
        it belongs to another one."""
        if self.bound:
            return
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.database.migrate()
        self.promotion.bind()
        self.bound = True

    def open(self) -> None:
        """Read the starter's prompts, load the model that should be served, start the clock. Takes seconds."""
        try:
            import_file(
                self.database, path_or_stream=PROMPTS, format="prompts", source="starter", offered=True, strict=True
            )
            self.failure = self.promotion.open()
            self.scheduler.start()
        except Exception as error:
            self.failure = f"The model could not be loaded: {error}"
            log.exception("the model could not be loaded")
        self.win_rates.read()  # counted once here, so that nobody waits for it

    def close(self) -> None:
        """End everything, those first whom others wait for: requests, then ticks and the trainer, then models."""
        self.labelling.close()
        self.engine.close()
        self.scheduler.stop()
        self.evaluation_clock.stop()
        self.slot.close()
        self.database.close()


def build_application(settings: Settings) -> Application:
    """Wire the parts; nothing runs yet."""
    settings.check()
    database = Database(settings.url)
    slot = Slot(max_loaded=settings.loaded_checkpoints)
    engine = Engine(slot)
    sampling = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=settings.max_new_tokens)
    runs = Runs(
        database,
        data_dir=settings.data_dir,
        auto_train=settings.auto_train,
        starter=settings.serves_starter,
        reward_models=settings.listed_reward_models,
    )
    promotion = Promotion(
        database,
        slot,
        runs,
        data_dir=settings.data_dir,
        initial_model=settings.initial_model,
        model_source=settings.model_source,
        device=settings.device,
        canary=settings.canary,
    )
    maker = ComparisonMaker(
        database,
        engine,
        ahead=settings.comparisons_ahead,
        sampling=sampling,
        samples=settings.samples_of_a_prompt,
        selection=SELECTIONS[settings.selection](),
    )
    labelling = Labelling(database, maker, repeat_share=settings.repeat_share)
    launcher = Launcher(
        data_dir=settings.data_dir,
        database_url=settings.url,
        model_source=settings.model_source,
        device=settings.device,
        gate_prompts=settings.gate_prompts,
        gate=settings.gate,
        reward_functions=settings.allowed_rewards,
        processes=settings.trainer_processes,
    )
    evaluation_clock = EvaluationClock(database, launcher, data_dir=settings.data_dir)
    chat = Chat(database, engine, sampling=Sampling(temperature=0.7, max_new_tokens=settings.max_new_tokens))
    scheduler = Scheduler(
        database,
        runs,
        promotion,
        labelling,
        launcher,
        data_dir=settings.data_dir,
        also=(("evaluations", evaluation_clock.tick, TICK_S),),
    )
    engine.resolve = promotion.load
    return Application(
        settings,
        database,
        slot,
        engine,
        labelling,
        chat,
        runs,
        promotion,
        scheduler,
        Evaluations(database, settings),
        evaluation_clock,
    )


def create_app(settings: Settings) -> FastAPI:
    """The ASGI application; `app.state.application` holds the parts."""
    application = build_application(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(application.bind)
        # the page answers at once and says that the model is loading; Ctrl-C waits for no load
        threading.Thread(target=application.open, name="opening", daemon=True).start()
        try:
            yield
        finally:
            await asyncio.to_thread(application.close)

    app = FastAPI(
        title="PrefLoop",
        version=version("prefloop"),
        summary="Label, train, gate, serve: the loop over HTTP.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.application = application
    errors.install(app)
    security.install(app, settings)
    install_routes(app, application)
    return mount_page(app, application)

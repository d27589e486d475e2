"""The only reader of the environment: PREFLOOP_* variables, which the command line may override."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from storage.errors import Refused
from trainer.gate_options import GateOptions, Rule
from trainer.starter import WEIGHTS

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Settings(BaseSettings):
    """Everything that is decided before the app starts. What people change while it runs is in the database."""

    model_config = SettingsConfigDict(env_prefix="PREFLOOP_", extra="ignore")

    host: str = Field("127.0.0.1", description="address to listen on; any other than loopback needs a token")
    port: int = Field(7860, ge=0, le=65535, description="port to listen on")
    data_dir: Path = Field(Path("data"), description="folder of this project: database, checkpoints, logs")
    database_url: str = Field("", description="another database; empty: SQLite in the data directory")
    model: str = Field("", description="hub id or folder of the initial model; empty: the embedded starter")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    token: str = Field("", description="when set, every route asks for it")
    allowed_hosts: str = Field("", description="further host names this is reached under, separated by commas")
    upload_limit_mb: int = Field(
        1024, ge=1, le=1024**2, description="largest file that may be imported through the page or the API, in MiB"
    )
    judges: str = Field(
        "", description="judges that people may choose, separated by commas: NAME=SOURCE or SOURCE (docs/judges.md)"
    )
    judge_key: str = Field("", description="key of the server that a judge named by its URL is asked at")
    judge_price_read: float = Field(
        0.0, ge=0, description="what such a server asks for a million tokens read, of people and of the gate"
    )
    judge_price_written: float = Field(0.0, ge=0, description="and for a million tokens written")
    judge_budget: float | None = Field(
        None, ge=0, description="the most that one evaluation may spend; unset: no limit"
    )
    trainer_processes: int = Field(
        1, ge=1, le=64, description="processes that train a run together on this machine; a step keeps its examples"
    )
    auto_train: bool = Field(True, description="off: no trigger queues a run by itself")
    canary: bool = Field(True, description="off: no roll back by itself")
    gate_prompts: int = Field(300, ge=8, le=300, description="how many held-out prompts the gate uses at most")
    gate_rule: Rule = Field(
        Rule.fixed,
        description="fixed: one look at all prompts; sequential: stops once it is decided, and is as valid",
    )
    gate_judge: str = Field(
        "",
        description="judge of quality, as `prefloop evaluate --judge` takes it; unset: the starter's; off: none",
    )
    gate_rubric: str = Field("quality", description="what that judge goes by: a name or a file")
    gate_way: str = Field("auto", description="how that judge is asked")
    gate_judge_for_people: bool = Field(
        False, description="on: it stands for people's preference, once it agrees with them: kappa .4 on 100 choices"
    )
    gate_judge_budget: float | None = Field(None, ge=0, description="the most that it may cost in one gate")
    reward_functions: str = Field(
        "",
        description="functions that a run may name as rewards of its own, separated by commas: package.module:function "
        "(docs/rewards.md); their code is run",
    )
    reward_models: str = Field(
        "",
        description="folders and hub ids of models that a run's rewards may name (classifiers, embedders, judges), "
        "separated by commas; those of the project are known without it",
    )
    comparisons_ahead: int = Field(
        4,
        ge=1,
        le=100,
        description="comparisons kept ready; the fewer, the sooner they follow what people decide on",
    )
    selection: Literal["plain", "least_alike", "same_content", "decisive"] = Field(
        "decisive", description="which two of the samples make a comparison for training"
    )
    samples: int | None = Field(
        None,
        ge=2,
        le=32,
        description="completions sampled for it, of which two are shown; unset: 16 of the starter, else 4",
    )
    repeat_share: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="share of comparisons, from a labeller's 21st on, that repeat one of theirs with sides swapped: "
        "it measures the labeller and trains nothing; 0: none",
    )
    max_new_tokens: int = Field(160, ge=1, le=4096, description="longest completion shown to people, in tokens")
    loaded_checkpoints: int = Field(3, ge=2, le=16, description="how many models are kept in memory")

    @property
    def initial_model(self) -> str:
        """What the data directory is bound to: the name, not the path, of the embedded starter."""
        return self.model or "starter"

    @property
    def model_source(self) -> str:
        """What is loaded for `initial_model`."""
        return str(WEIGHTS) if self.initial_model == "starter" else self.model

    @property
    def serves_starter(self) -> bool:
        return self.initial_model == "starter"

    @property
    def judge_prices(self) -> tuple[float, float]:
        """What a judge's server asks for a million tokens read and written, whoever asks it: people or the gate."""
        return self.judge_price_read, self.judge_price_written

    @property
    def gate(self) -> GateOptions:
        """What a trainer is told about its gate."""
        return GateOptions(
            rule=self.gate_rule,
            judge=self.gate_judge,
            rubric=self.gate_rubric,
            way=self.gate_way,
            for_people=self.gate_judge_for_people,
            prices=self.judge_prices,
            budget=self.gate_judge_budget,
            starter=self.serves_starter,
            key=self.judge_key,
        )

    @property
    def allowed_rewards(self) -> tuple[str, ...]:
        """The import paths of people's own rewards."""
        return tuple(path.strip() for path in self.reward_functions.split(",") if path.strip())

    @property
    def listed_reward_models(self) -> tuple[str, ...]:
        """The models that rewards may name."""
        return tuple(name.strip() for name in self.reward_models.split(",") if name.strip())

    @property
    def samples_of_a_prompt(self) -> int:
        """How many completions are sampled for one training comparison."""
        return self.samples or (16 if self.serves_starter else 4)

    @property
    def url(self) -> str:
        return self.database_url or f"sqlite:///{self.database_file}"

    @property
    def database_file(self) -> Path:
        """Where the database is unless another one is named."""
        return self.data_dir / "prefloop.sqlite"

    def check_budgets(self) -> None:
        """Raises Refused for a limit on what a judge may cost where nothing says what it costs."""
        if any(self.judge_prices):
            return
        for name in ("judge_budget", "gate_judge_budget"):
            if (budget := getattr(self, name)) is not None:
                raise Refused(
                    f"PREFLOOP_{name.upper()} is {budget:g}, which means nothing without prices.",
                    hint="Set PREFLOOP_JUDGE_PRICE_READ and PREFLOOP_JUDGE_PRICE_WRITTEN, of a million tokens.",
                )

    def check(self) -> None:
        """Raises Refused for a combination that must not be served."""
        self.check_budgets()
        if self.host not in LOOPBACK and not self.token:
            raise Refused(
                f"Listening on {self.host} would let anybody on the network label, train and read.",
                hint="Set PREFLOOP_TOKEN to a long random word, or listen on 127.0.0.1.",
            )
        if self.gate_judge == "starter" and not self.serves_starter:
            raise Refused(
                f"The starter's judge knows replies of the starter's kind only, not those of {self.model}.",
                hint="Set PREFLOOP_GATE_JUDGE to another judge: a model's folder or hub id, or a server's address.",
            )

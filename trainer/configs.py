"""What a person may set for each training algorithm: defaults, bounds and one sentence a field.

The form, the HTTP API and the CLI are all drawn from these models through `json_schema`, so a field is
described once. Leaves out: reading the values (storage), and acting on them (`trainer/algorithms`).
Free of torch, so that the web process may import it.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from trainer.base_config import AlgorithmConfig, Alpha, Epochs, InvalidConfig, LearningRate, MergedAdapter, Rank
from trainer.kto_config import KTOConfig
from trainer.losses.names import PairLossName
from trainer.offline_fields import Clipped, PushedAdvantage, RatioOrPush, Rewarded, Valued, Worth
from trainer.online_config import ONLINE
from trainer.pair_config import TARGET, WITHOUT_REFERENCE, Smoothed
from trainer.ppo_config import PPOConfig
from trainer.validation_fields import Looks, Validated


def _as_list(value: Any) -> Any:
    """The parts of "sigmoid, sft", as forms and the command line have it; anything else unchanged."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Names = Annotated[tuple[PairLossName, ...], BeforeValidator(_as_list)]
Numbers = Annotated[tuple[Annotated[float, Field(gt=0, le=1000)], ...], BeforeValidator(_as_list)]


class DPOConfig(Smoothed):
    """Direct preference optimisation (Rafailov et al. 2023). Defaults are tuned on the starter model."""

    learning_rate: LearningRate = 2.5e-4
    beta: float = Field(
        1.0,
        gt=0,
        le=100,
        description="Weight of the reference: nats of log-ratio are multiplied by it to give a reward.",
    )
    loss_type: Names = Field(
        ("sigmoid", "sft"),
        min_length=1,
        max_length=len(get_args(PairLossName)),
        description="Losses that are added up: sigmoid is the paper's, sft the chosen completions' likelihood; "
        f"of {', '.join(get_args(PairLossName))}.",
    )
    loss_weights: Numbers = Field(
        (1.0, 6.0),
        min_length=1,
        max_length=len(get_args(PairLossName)),
        description="The weight of each loss in the sum, in the same order.",
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="Share of choices taken to be the wrong way round (conservative DPO)."
    )
    epochs: int = Field(
        60, ge=1, le=1000, description="Passes over the examples; the target margin ends most runs earlier."
    )
    target_margin: float = Field(3.5, ge=0, le=1000, description=TARGET)

    @property
    def terms(self) -> Sequence[tuple[PairLossName, float]]:
        return list(zip(self.loss_type, self.loss_weights, strict=True))

    @property
    def uses_reference(self) -> bool:
        return True

    @model_validator(mode="after")
    def _a_weight_for_each_loss(self) -> Self:
        if len(self.loss_type) != len(self.loss_weights):
            raise ValueError(
                f"loss_weights: there are {len(self.loss_type)} losses and {len(self.loss_weights)} weights; "
                "give one weight for each loss"
            )
        return self


class SFTConfig(Validated):
    """Supervised fine-tuning on chosen completions; the result is a full checkpoint."""

    learning_rate: LearningRate = 5e-4
    epochs: Epochs = 3
    loss_type: Literal["nll", "dft"] = Field(
        "nll",
        description="nll imitates every token alike; dft weighs each by its own probability, so that tokens the model "
        "finds unlikely count less (dynamic fine-tuning).",
    )
    adapter: MergedAdapter = "lora"
    rank: Rank = 16
    alpha: Alpha = 32
    start_from: Literal["initial", "served"] = Field(
        "initial", description="The initial model, or the one now served with its adapter merged."
    )


class RewardModelConfig(Looks, AlgorithmConfig):
    """Bradley-Terry reward model on the initial model's backbone with a linear head."""

    epochs: Epochs = 3
    adapter: MergedAdapter = "lora"
    rank: Rank = 8
    alpha: Alpha = 16
    centering: float = Field(
        0.01, ge=0, le=10, description="Weight of the squared sum of a pair's two scores, which keeps scores near 0."
    )
    clear_margin: float = Field(
        1.0, ge=0, le=100, description="By how much a completion that was called clearly better should lead, at least."
    )
    ties: bool = Field(False, description="Learn from ties too: that neither score should lead.")
    ranking: Literal["pairs", "best"] = Field(
        "pairs", description="Of more than two completions: all pairs count, or that the best is the best."
    )
    normalise: int = Field(
        64,
        ge=0,
        le=100_000,
        description="Samples of the initial model on which scores get mean 0 and spread 1 at the end; 0: none.",
    )
    validation_share: float = Field(
        0.1, ge=0, le=0.5, description="Share of the groups held out to measure the accuracy, where no list is given."
    )


class OfflineConfig(Validated):
    """What the methods have in common that learn from stored completions by a weighted likelihood."""

    method: ClassVar[str]
    """Its name in `trainer/losses/offline.py`."""

    start_from: Literal["initial", "served"] = Field(
        "initial", description="A fresh adapter on the initial model, or the adapter now served, trained further."
    )


class NLLConfig(OfflineConfig):
    """Likelihood of the chosen completions, summed over tokens; the result is an adapter (sft makes a full model)."""

    method = "nll"


class WBCConfig(OfflineConfig, Rewarded):
    """Weighted behaviour cloning: likelihood times reward (Baheti et al. 2023)."""

    method = "wbc"


class RewardGoldConfig(OfflineConfig, Rewarded):
    """Reward-GOLD: likelihood times reward, less on tokens that the policy finds unlikely (Baheti et al. 2023)."""

    method = "reward_gold"
    gold_floor: float = Field(
        0.1, gt=0, le=1, description="Least weight of a token: its probability under the policy, or this where lower."
    )


class RLoLConfig(OfflineConfig, RatioOrPush):
    """R-LoL: likelihood times reward times the ratio to the reference, or less kl_beta (Baheti et al. 2023)."""

    @property
    def method(self) -> str:  # type: ignore[override]
        return "r_lol_kl" if self.kl_beta else "r_lol"


class ALoLConfig(OfflineConfig, Rewarded, Clipped, Valued):
    """A-LoL: only completions better than the reference's own, by how much, times the ratio (Baheti et al. 2023)."""

    method = "a_lol"


class ALoLRefFreeConfig(OfflineConfig, Rewarded, Valued):
    """A-LoL without the ratio: only completions better than the reference's own, by how much (Baheti et al. 2023)."""

    method = "a_lol_ref_free"


class ALoLSeqConfig(OfflineConfig, Rewarded, Clipped, Valued):
    """A-LoL with a ratio for each token in place of one for the completion (Baheti et al. 2023)."""

    method = "a_lol_seq"


class ALoLKLConfig(OfflineConfig, PushedAdvantage, Valued):
    """A-LoL with kl_beta subtracted from the advantage in place of the ratio (Baheti et al. 2023)."""

    method = "a_lol_kl"


class PROConfig(Validated, Worth):
    """Preference ranking optimisation (Song et al. 2023): rankings, of two where people chose between two."""

    learning_rate: LearningRate = 5e-4
    sft_weight: float = Field(
        0.05, ge=0, le=100, description="Weight of the best completion's likelihood, summed over its tokens."
    )
    contrary_gaps: Literal["ignore", "push"] = Field(
        "ignore",
        description="What a reward that contradicts the choice does: nothing, or push against it as in the paper.",
    )
    start_from: Literal["initial", "served"] = Field(
        "initial", description="A fresh adapter on the initial model, or the adapter now served, trained further."
    )


OFFLINE: Mapping[str, type[OfflineConfig]] = MappingProxyType(
    {
        "nll": NLLConfig,
        "wbc": WBCConfig,
        "reward_gold": RewardGoldConfig,
        "r_lol": RLoLConfig,
        "a_lol": ALoLConfig,
        "a_lol_ref_free": ALoLRefFreeConfig,
        "a_lol_seq": ALoLSeqConfig,
        "a_lol_kl": ALoLKLConfig,
    }
)
ALGORITHMS: Mapping[str, type[AlgorithmConfig]] = MappingProxyType(
    {
        "sft": SFTConfig,
        "reward_model": RewardModelConfig,
        "dpo": DPOConfig,
        **WITHOUT_REFERENCE,
        "kto": KTOConfig,
        "ppo": PPOConfig,
        **ONLINE,
        "pro": PROConfig,
        **OFFLINE,
    }
)


def parse_config(algorithm: str, values: Mapping[str, Any] | None = None) -> AlgorithmConfig:
    """The config of `algorithm` with `values` over its defaults.

    Raises InvalidConfig with every problem at once: an unknown algorithm or field, a value out of bounds.
    """
    config = _config_class(algorithm)
    try:
        return config.model_validate(dict(values or {}))
    except ValidationError as error:
        raise InvalidConfig([_sentence(config, dict(problem)) for problem in error.errors()]) from None


def json_schema(algorithm: str) -> dict[str, Any]:
    """JSON Schema of the algorithm's config, from which forms and the API's documentation are drawn."""
    return _config_class(algorithm).model_json_schema()


def _config_class(algorithm: str) -> type[AlgorithmConfig]:
    if algorithm not in ALGORITHMS:
        raise InvalidConfig([f"algorithm: {algorithm!r} is not known; choose one of {', '.join(ALGORITHMS)}"])
    return ALGORITHMS[algorithm]


def _sentence(config: type[AlgorithmConfig], problem: dict[str, Any]) -> str:
    """'field: value is wrong because ...; what the field is', from one of pydantic's error records."""
    if not problem["loc"]:  # of several fields together: the validator has written the sentence
        return str(problem["ctx"]["error"])
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{field}: not a field of {config.__name__}; it has {', '.join(config.model_fields)}"
    info = config.model_fields.get(field)
    meaning = f" ({info.description})" if info else ""
    return f"{field}: {problem['input']!r} was given, {problem['msg'][:1].lower() + problem['msg'][1:]}{meaning}"

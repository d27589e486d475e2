"""A judge by name, folder, hub id or address, as `prefloop evaluate --judge` takes it.

`starter`; `similarity` and `similarity:MODEL`; http://HOST/v1#MODEL; a folder of a starter's judge, of a reward model
or of a causal language model; a hub id. Torch is loaded only by the kinds that need it, and only once they are asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from trainer.evaluation.judges.base import Judge, Kind
from trainer.evaluation.judges.budget import Ledger, Prices
from trainer.evaluation.judges.cache import ReplyCache
from trainer.evaluation.judges.endpoint import EndpointJudge, Way
from trainer.evaluation.judges.offered import offered_way
from trainer.evaluation.judges.panel import Panel, Rule
from trainer.evaluation.judges.rubric import Rubric
from trainer.evaluation.judges.similarity import CHRF, SimilarityJudge
from trainer.evaluation.judges.starter import StarterJudge, is_starter_judge
from trainer.evaluation.judges.transport import JudgeRefused, Patience
from trainer.manifest import is_checkpoint, read_manifest
from trainer.starter import JUDGE_WEIGHTS


@dataclass(frozen=True)
class JudgeSettings:
    """How judges are asked. `way` auto: by what a server offers, by log-probabilities where the model is local."""

    rubric: Rubric
    way: str = "auto"
    device: str = "auto"
    base: str | None = None
    key: str = ""
    prices: Prices = field(default_factory=Prices)
    budget: float | None = None
    concurrency: int = 8
    patience: Patience = field(default_factory=Patience)


def open_judges(sources: Sequence[str], settings: JudgeSettings, cache: ReplyCache, *, rule: Rule) -> Judge | Panel:
    """The judge, or of several sources the panel of them. Raises ValueError, FileNotFoundError and JudgeRefused."""
    ledger = Ledger(settings.prices, settings.budget)  # one budget for all
    judges: list[Judge] = []
    try:
        for source in sources:
            judges.append(open_judge(source, settings, cache, ledger))
        return judges[0] if len(judges) == 1 else Panel(tuple(judges), rule)
    except BaseException:
        for judge in judges:
            close_judges(judge)
        raise


def close_judges(judge: Judge | Panel) -> None:
    """Give back the connections of a judge, or of a panel's members; local ones hold none."""
    for one in judge.members if isinstance(judge, Panel) else (judge,):
        if isinstance(one, EndpointJudge):
            one.close()


def kind_of(source: str) -> Kind:
    """What `source` names, without opening it."""
    if source.startswith(("http://", "https://")):
        return "endpoint"
    if source == "starter":
        return "starter"
    if source.partition(":")[0] == "similarity":
        return "similarity"
    folder = Path(source).expanduser()
    if is_starter_judge(folder):
        return "starter"
    return "reward_model" if is_checkpoint(folder) and read_manifest(folder).kind == "reward_model" else "local"


def open_judge(source: str, settings: JudgeSettings, cache: ReplyCache, ledger: Ledger) -> Judge:
    """The judge that `source` names. Raises ValueError for a way that its kind does not know."""
    kind = kind_of(source)
    if kind == "endpoint":
        return _endpoint(source, settings, cache, ledger)
    if kind == "similarity":
        return SimilarityJudge(source.partition(":")[2] or CHRF)
    if kind == "starter":
        return StarterJudge(_starters_folder(source))
    if kind == "reward_model":
        from trainer.evaluation.judges.reward_model import RewardModelJudge

        return RewardModelJudge(Path(source).expanduser(), device=settings.device)
    from trainer.evaluation.judges.local import LocalJudge
    from trainer.evaluation.judges.local import Way as LocalWay

    if settings.way not in ("auto", "word", "reasons"):
        raise ValueError(f"a local judge cannot be asked by {settings.way!r}; use auto, word or reasons")
    way: LocalWay = "reasons" if settings.way == "reasons" else "word"
    return LocalJudge(source, settings.rubric, way=way, device=settings.device, base=settings.base)


def _starters_folder(source: str) -> Path:
    """Raises FileNotFoundError where the embedded judge is asked for and not there."""
    if source != "starter":
        return Path(source).expanduser()
    if not JUDGE_WEIGHTS.is_dir():
        raise FileNotFoundError(
            "the starter's judge is not part of this installation; train it with prefloop starter build --judge, "
            "and give its folder, or name another judge"
        )
    return JUDGE_WEIGHTS


def _endpoint(source: str, settings: JudgeSettings, cache: ReplyCache, ledger: Ledger) -> EndpointJudge:
    url, _, model = source.partition("#")
    model = model or _only_model(url.rstrip("/"), settings.key)

    def opened(way: Way) -> EndpointJudge:
        return EndpointJudge(
            url,
            model,
            settings.rubric,
            ledger,
            way=way,
            key=settings.key,
            concurrency=settings.concurrency,
            patience=settings.patience,
        )

    if settings.way == "auto":
        return opened(offered_way(opened, cache))
    for way in ("json", "choice", "logprobs", "text"):
        if settings.way == way:
            return opened(way)
    raise ValueError(f"a server cannot be asked by {settings.way!r}; use auto, json, choice, logprobs or text")


def _only_model(url: str, key: str) -> str:
    """The model of a server that has one. Raises JudgeRefused naming all of them where it has several."""
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        listed = httpx.get(f"{url}/models", headers=headers, timeout=30).raise_for_status().json()
        names = [str(one["id"]) for one in listed["data"]]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        raise JudgeRefused(f"{url}/models does not list the server's models ({error}); give {url}#MODEL.") from error
    if len(names) != 1:
        raise JudgeRefused(f"{url} has {len(names)} models ({', '.join(names[:20])}); give {url}#MODEL.")
    return names[0]

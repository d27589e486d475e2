"""The numbers behind the charts: every win rate, and the checkpoints ordered by theirs against the initial model."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.api.shapes import PREFIX, Page, errors_for
from app.win_rates import WinRateRow, win_rates

if TYPE_CHECKING:
    from app.main import Application


class WinRateShape(BaseModel):
    checkpoint_id: str
    checkpoint: str
    baseline_id: str
    baseline: str
    against: str = Field(description="initial or previous")
    source: str = Field(description="people or preference_model; the two are never pooled")
    rate: float = Field(description="0..1; 0.5 is as good as the baseline")
    low: float = Field(description="of the 95% n_eff-Wilson interval")
    high: float
    n: int = Field(description="prompts")
    n_effective: float
    mean_length: float = Field(description="characters")
    baseline_length: float = Field(description="characters")
    evaluation_id: int | None


class RankShape(BaseModel):
    rank: int
    checkpoint_id: str
    checkpoint: str
    source: str
    rate: float = Field(description="against the initial model, 0..1")
    low: float
    high: float
    n: int


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["evaluations"])

    @router.get("/win-rates", summary="Every win rate", response_model=Page[WinRateShape], responses=errors_for())
    def all_rates() -> Page[WinRateShape]:
        """Checkpoints oldest first, each against the initial model and the one served before it, by each source."""
        with application.database.read() as session:
            rows = win_rates(session)
        return Page(items=[WinRateShape(**asdict(row)) for row in rows], next_cursor=None)

    @router.get(
        "/leaderboard",
        summary="Checkpoints by win rate against the initial model",
        response_model=Page[RankShape],
        responses=errors_for(),
    )
    def leaderboard() -> Page[RankShape]:
        """Best first, ranked within each source; checkpoints whose intervals overlap are not told apart by it."""
        with application.database.read() as session:
            rows = win_rates(session)
        return Page(items=ranked(rows), next_cursor=None)

    return router


def ranked(rows: list[WinRateRow]) -> list[RankShape]:
    """The rows against the initial model, best first, numbered from 1 within each source."""
    against_initial = [row for row in rows if row.against == "initial"]
    items: list[RankShape] = []
    for source in dict.fromkeys(row.source for row in against_initial):
        mine = sorted((r for r in against_initial if r.source == source), key=lambda r: r.rate, reverse=True)
        items += [
            RankShape(
                rank=rank,
                checkpoint_id=row.checkpoint_id,
                checkpoint=row.checkpoint,
                source=row.source,
                rate=row.rate,
                low=row.low,
                high=row.high,
                n=row.n,
            )
            for rank, row in enumerate(mine, 1)
        ]
    return items

"""The numbers behind the charts: every win rate, and the checkpoints rated against each other, by each source."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from app.api.shapes import PREFIX, Page, errors_for
from app.leaderboard import Rank, leaderboard, sources
from app.win_rates_export import export_win_rates

if TYPE_CHECKING:
    from app.main import Application


class WinRateShape(BaseModel):
    checkpoint_id: str
    checkpoint: str
    baseline_id: str
    baseline: str
    against: str = Field(description="initial, previous, or texts (chosen ones, or a file's)")
    source: str = Field(description="people or a judge's id, such as preference_model; never pooled")
    rate: float = Field(description="0..1; 0.5 is as good as the baseline")
    low: float = Field(description="of the 95% n_eff-Wilson interval")
    high: float
    n: int = Field(description="prompts with a valid verdict")
    n_effective: float
    mean_length: float = Field(description="characters")
    baseline_length: float = Field(description="characters")
    wins: int = Field(description="prompts; wins, ties, flips and losses add up to n")
    ties: int
    flips: int = Field(description="the two orders disagreed")
    losses: int
    invalid: int = Field(description="prompts without a valid verdict, outside n")
    evaluation_id: int | None


class RankShape(BaseModel):
    rank: int = Field(description="place by rating; those that are not ranked come last")
    checkpoint_id: str
    checkpoint: str
    source: str
    rating: float = Field(description="Bradley-Terry; 1000 is the mean, 400 points are odds of ten to one")
    rating_low: float = Field(description="of the 95% interval")
    rating_high: float
    rank_best: int | None = Field(description="1 and those significantly better; null where it is not ranked")
    rank_worst: int | None
    reason: str | None = Field(description="why it is not ranked")
    choices: int = Field(description="choices of people, or verdicts")
    wins: int = Field(description="prompts")
    ties: int
    losses: int
    rate: float | None = Field(description="against the initial model, 0..1; null where it never met it")
    low: float | None
    high: float | None
    n: int | None


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["evaluations"])

    @router.get("/win-rates", summary="Every win rate", response_model=Page[WinRateShape], responses=errors_for())
    def all_rates() -> Page[WinRateShape]:
        """Checkpoints oldest first, each against the initial model and the one served before it, by each source."""
        return Page(items=[WinRateShape(**asdict(row)) for row in application.win_rates.points()], next_cursor=None)

    @router.get(
        "/leaderboard",
        summary="Checkpoints by rating",
        response_model=Page[RankShape],
        responses=errors_for(),
    )
    def ranked() -> Page[RankShape]:
        """Best first within each source; what the comparisons bear out is the range of `rank_best` to `rank_worst`."""
        measured = application.win_rates.read()
        boards = [leaderboard(measured, source) for source in sources(measured)]
        items = [_shape(place, rank) for board in boards for place, rank in enumerate(board, 1)]
        return Page(items=items, next_cursor=None)

    @router.get(
        "/win-rates/export",
        summary="Win rates as a table for other programs",
        response_class=Response,
        responses={200: {"content": {"text/csv": {}}, "description": "comma-separated values"}, **errors_for(422)},
    )
    def export(format: str = "csv") -> Response:
        """`format` is csv (every point), leaderboard, or alpaca-eval (its columns; against the initial model)."""
        text = export_win_rates(application.win_rates.read(), application.equal_length, format=format)
        headers = {"Content-Disposition": f'attachment; filename="win-rates.{format}.csv"'}
        return Response(text, media_type="text/csv; charset=utf-8", headers=headers)

    return router


def _shape(place: int, rank: Rank) -> RankShape:
    best, worst = rank.ranks or (None, None)
    point = rank.point
    return RankShape(
        rank=place,
        checkpoint_id=rank.checkpoint_id,
        checkpoint=rank.checkpoint,
        source=rank.source,
        rating=rank.rating,
        rating_low=rank.low,
        rating_high=rank.high,
        rank_best=best,
        rank_worst=worst,
        reason=rank.reason,
        choices=rank.choices,
        wins=rank.wins,
        ties=rank.ties,
        losses=rank.losses,
        rate=point.rate if point else None,
        low=point.low if point else None,
        high=point.high if point else None,
        n=point.n if point else None,
    )

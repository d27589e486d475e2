"""Choices: recorded (and only then unblinded), undone, exported."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from app.api.shapes import API_LABELLER, PREFIX, Body, LabellerId, RowId, errors_for
from app.labelling import Recorded, Revealed
from storage.tables import Choice, Split, Strength
from storage.transfer import export

if TYPE_CHECKING:
    from app.main import Application

CHUNK_BYTES = 64 * 1024


class NewPreference(Body):
    comparison_id: str
    choice: Choice
    strength: Strength | None = None
    reason: str | None = Field(None, max_length=10_000)
    client_id: str | None = Field(
        None, min_length=1, max_length=200, description="Made by the client: repeating the call then changes nothing."
    )


class RevealedSide(BaseModel):
    checkpoint_id: str | None = Field(description="null for an imported completion")
    checkpoint: str
    temperature: float | None
    seed: int | None


class RevealedSides(BaseModel):
    left: RevealedSide
    right: RevealedSide


class PreferenceShape(BaseModel):
    id: int
    choice: Choice
    revealed: RevealedSides


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["preferences"])

    @router.post(
        "/preferences",
        summary="Record a choice and see what was compared",
        status_code=201,
        response_model=PreferenceShape,
        responses={
            200: {"model": PreferenceShape, "description": "the same client_id again: the same row"},
            **errors_for(404, 409, 422),
        },
    )
    def record(body: NewPreference, labeller: LabellerId, response: Response) -> PreferenceShape:
        """One standing choice per comparison and labeller. Programs without a cookie are one labeller together."""
        recorded = application.labelling.record_choice(
            comparison_id=body.comparison_id,
            labeller_id=labeller or API_LABELLER,
            choice=body.choice,
            client_id=body.client_id or uuid4().hex,
            strength=body.strength,
            reason=body.reason,
        )
        response.status_code = 201 if recorded.created else 200
        return _shape(recorded)

    @router.delete(
        "/preferences/{preference_id}", summary="Undo a choice", status_code=204, responses=errors_for(404, 409, 422)
    )
    def undo(preference_id: RowId, labeller: LabellerId) -> None:
        """The row stays, marked as withdrawn, and its comparison may be decided again. Twice is the same as once."""
        application.labelling.undo(preference_id=preference_id, labeller_id=labeller or API_LABELLER)

    @router.get(
        "/preferences/export",
        summary="Export choices or prompts as lines of JSON",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"application/x-ndjson": {}}, "description": "one row per line"},
            **errors_for(422),
        },
    )
    def export_rows(
        format: str = "trl", undecided: bool = False, imported: bool | None = None, split: Split | None = None
    ) -> StreamingResponse:
        """`format` is trl, hh-rlhf or prompts. `undecided` adds ties, both_bad and skips; `imported` keeps only
        imported rows, or only those made here; `split` keeps one split's.
        """

        def rows() -> Iterator[bytes]:
            with application.database.read() as session:
                yield from export(session, format=format, undecided=undecided, imported=imported, split=split)

        with application.database.read() as session:  # a bad format is refused before the answer begins
            export(session, format=format, undecided=undecided, imported=imported, split=split)
        name = "prompts" if format == "prompts" else f"preferences.{format}"
        headers = {"Content-Disposition": f'attachment; filename="{name}.jsonl"'}
        return StreamingResponse(_in_chunks(rows()), media_type="application/x-ndjson", headers=headers)

    return router


def _in_chunks(rows: Iterator[bytes]) -> Iterator[bytes]:
    """A hop to the event loop per row would cost more than the row."""
    chunk: list[bytes] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += len(row)
        if size >= CHUNK_BYTES:
            yield b"".join(chunk)
            chunk, size = [], 0
    yield b"".join(chunk)


def _shape(recorded: Recorded) -> PreferenceShape:
    sides = RevealedSides(left=_side(recorded.left), right=_side(recorded.right))
    return PreferenceShape(id=recorded.preference_id, choice=recorded.choice, revealed=sides)


def _side(revealed: Revealed) -> RevealedSide:
    return RevealedSide(
        checkpoint_id=revealed.checkpoint_id,
        checkpoint=revealed.checkpoint,
        temperature=revealed.temperature,
        seed=revealed.seed,
    )

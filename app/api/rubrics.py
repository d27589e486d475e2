"""Rubrics: what judges go by, read, checked with a preview, saved under a hash."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from app.api.shapes import PREFIX, Body, ErrorShape, Page, errors_for
from app.rubrics import RubricView
from trainer.evaluation.judges.rubric import Form
from trainer.evaluation.judges.rubric_text import MOST_CHARACTERS

if TYPE_CHECKING:
    from app.main import Application


class NewText(Body):
    text: str = Field(max_length=2 * MOST_CHARACTERS, description="the whole file, TOML; it sets the same name")
    replaces: str | None = Field(
        None, description="the digest of the rubric that was edited, empty for a new name: 409 where it is another now"
    )


class TextToCheck(Body):
    text: str = Field(max_length=2 * MOST_CHARACTERS)
    form: Form = Field("json", description="how the verdict is asked for: json, word or reasons")


class RubricSummary(BaseModel):
    name: str
    digest: str = Field(description="SHA-256 of the content; empty where the file cannot be used")
    origin: str = Field(description="packaged, or project where the project has its own")
    replaces_packaged: bool = Field(description="the project's own stands in a packaged one's place")
    reference: str | None = Field(description="never, if_given or required")
    turns: str | None = Field(description="single or multi")
    problem: str = Field(description="why the file cannot be used, with the lines; empty where it can")


class VersionShape(BaseModel):
    digest: str
    saved_at: datetime
    in_use: bool


class RubricText(RubricSummary):
    text: str = Field(description="the whole file, TOML")
    versions: list[VersionShape] = Field(description="every version saved or judged by, newest first")


class VersionText(BaseModel):
    name: str
    digest: str
    text: str


class FaultShape(BaseModel):
    line: int
    problem: str
    remedy: str


class MessageShape(BaseModel):
    role: str
    content: str


class CheckShape(BaseModel):
    """`messages` are exactly what a judge would get for a sample comparison; empty where there are faults."""

    name: str | None
    digest: str | None
    faults: list[FaultShape]
    messages: list[MessageShape]


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["rubrics"])

    @router.get("/rubrics", summary="List rubrics", response_model=Page[RubricSummary], responses=errors_for())
    def list_all() -> Page[RubricSummary]:
        """Those that come with PrefLoop and the project's own, by name."""
        items = [RubricSummary(**_summary(view)) for view in application.rubrics.list()]
        return Page(items=items, next_cursor=None)

    @router.get(
        "/rubrics/{name}",
        summary="One rubric, its text and versions",
        response_model=RubricText,
        responses=errors_for(404, 422),
    )
    def get(name: str) -> RubricText:
        return _whole(application, application.rubrics.get(name))

    @router.put(
        "/rubrics/{name}",
        summary="Save a rubric",
        response_model=RubricText,
        responses={
            **errors_for(409, 422),
            201: {"model": RubricText, "description": "there was none of this name"},
            422: {"model": ErrorShape, "description": "bad_rubric: every fault with its line and what to do"},
        },
    )
    def save(name: str, body: NewText, response: Response) -> RubricText:
        """A packaged rubric is not changed: the project's own of that name takes its place. Every version stays."""
        view, new = application.rubrics.save(body.text, name=name, replaces=body.replaces)
        response.status_code = 201 if new else 200
        return _whole(application, view)

    @router.get(
        "/rubrics/{name}/versions/{digest}",
        summary="A version of a rubric, as verdicts were made with it",
        response_model=VersionText,
        responses=errors_for(404, 422),
    )
    def version(name: str, digest: str) -> VersionText:
        """The digest's first eight characters are enough."""
        found = application.rubrics.version(name, digest)
        return VersionText(name=found.rubric.name, digest=found.rubric.digest, text=found.text)

    @router.post(
        "/rubrics/check",
        summary="Check a rubric's text and preview its messages",
        response_model=CheckShape,
        responses=errors_for(422),
    )
    def check(body: TextToCheck) -> CheckShape:
        """Saves nothing and asks nobody."""
        found = application.rubrics.check(body.text, form=body.form)
        return CheckShape(
            name=found.rubric.name if found.rubric else None,
            digest=found.rubric.digest if found.rubric else None,
            faults=[FaultShape(line=f.line, problem=f.problem, remedy=f.remedy) for f in found.faults],
            messages=[MessageShape(**message) for message in found.messages],
        )

    return router


def _summary(view: RubricView) -> dict[str, Any]:
    return {
        "name": view.name,
        "digest": view.digest,
        "origin": view.origin,
        "replaces_packaged": view.replaces_packaged,
        "reference": view.rubric.reference if view.rubric else None,
        "turns": view.rubric.turns if view.rubric else None,
        "problem": view.problem,
    }


def _whole(application: "Application", view: RubricView) -> RubricText:
    kept = application.rubrics.versions(view.name)
    versions = [VersionShape(digest=v.digest, saved_at=v.saved_at, in_use=v.digest == view.digest) for v in kept]
    return RubricText(**_summary(view), text=view.text, versions=versions)

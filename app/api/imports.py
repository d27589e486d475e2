"""POST /api/v1/imports: a file of preferences, prompts or outputs, as a form's upload or as the body itself."""

import tempfile
from functools import partial
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from anyio import to_thread
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import UploadFile

from app.api.shapes import PREFIX, Body, ErrorShape, errors_for
from storage.errors import Invalid
from storage.tables import Split
from storage.transfer import IMPORTS, ImportReport, import_file

if TYPE_CHECKING:
    from app.main import Application

SPOOL_BYTES = 8 * 2**20  # a larger body goes to a temporary file
HOW = f"Send the file as the field 'file' of a form, or as the body, and its format ({', '.join(IMPORTS)})."


class ImportOptions(Body):
    """Fields of the form, or of the query where the body is the file."""

    format: str = Field(description="trl, hh-rlhf, prompts or alpaca-eval")
    strict: bool = Field(False, description="One bad row refuses the whole file.")
    split: Split | None = Field(None, description="For every new prompt; else its group's hash decides.")
    offered: bool = Field(False, description="Put the prompts before people.")


class SkippedLine(BaseModel):
    line: int
    reason: str


class ImportShape(BaseModel):
    rows: int
    added: int
    known: int = Field(description="rows that were here already")
    skipped: list[SkippedLine]
    models: dict[str, int] = Field(
        description="of alpaca-eval: the outside models in the file, with how many held-out prompts each has a text for"
    )


def routes(application: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["imports"])

    @router.post(
        "/imports",
        summary="Import preferences, prompts or other models' outputs",
        response_model=ImportShape,
        responses={**errors_for(422), 413: {"model": ErrorShape, "description": "a field of the form is too long"}},
        openapi_extra=_documented(),
    )
    async def import_upload(request: Request) -> ImportShape:
        """Lines of JSON, plain or gzip. Bad rows are skipped and told with their line numbers; a second import of the
        same rows adds nothing. Imported choices start no run. alpaca-eval may be one JSON list; its texts make their
        generator a baseline (GET /api/v1/baselines).
        """
        given: dict[str, Any] = dict(request.query_params)
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            async with request.form(max_files=1, max_fields=20) as form:
                upload = form.get("file")
                if not isinstance(upload, UploadFile):
                    raise Invalid("The form has no file.", hint=HOW)
                given |= {name: value for name, value in form.items() if name != "file"}
                name = PurePosixPath(upload.filename or "upload").name
                report = await _import(application, upload.file, name, _options(given))
        else:
            with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as body:
                options = _options(given)
                async for part in request.stream():
                    await to_thread.run_sync(body.write, part)
                report = await _import(application, body, "upload", options)
        skipped = [SkippedLine(line=s.line, reason=s.reason) for s in report.skipped]
        return ImportShape(
            rows=report.rows, added=report.added, known=report.known, skipped=skipped, models=dict(report.models)
        )

    return router


async def _import(application: "Application", file: IO[bytes], name: str, options: ImportOptions) -> ImportReport:
    store = partial(import_file, application.database, path_or_stream=file, name=name, **dict(options))
    return await to_thread.run_sync(store)


def _options(given: dict[str, Any]) -> ImportOptions:
    try:
        return ImportOptions(**given)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors())
        raise Invalid(f"The import cannot be started: {told}.", hint=HOW) from error


def _documented() -> dict[str, Any]:
    """What FastAPI cannot read off the function: the two ways to send the file."""
    schema = ImportOptions.model_json_schema(ref_template="#/components/schemas/{model}")
    fields = schema["properties"]
    upload = {"type": "string", "format": "binary"}
    form = {"type": "object", "required": ["file", "format"], "properties": {"file": upload, **fields}}
    lines = {"schema": upload}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                "application/x-ndjson": lines,
                "application/gzip": lines,
            },
        },
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": field} for name, field in fields.items()
        ],
    }

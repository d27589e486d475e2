"""GET /api/v1/algorithms: what can be trained, with the JSON schema of its settings."""

import inspect
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.api.shapes import PREFIX, Page, errors_for
from trainer.configs import ALGORITHMS, json_schema

if TYPE_CHECKING:
    from app.main import Application


class AlgorithmShape(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    name: str
    description: str
    config_schema: dict[str, Any] = Field(alias="schema", description="JSON Schema of `config` in POST /training-runs")


def routes(_: "Application") -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["training runs"])

    @router.get("/algorithms", summary="List algorithms", response_model=Page[AlgorithmShape], responses=errors_for())
    def list_all() -> Page[AlgorithmShape]:
        items = [
            AlgorithmShape(name=name, description=inspect.getdoc(config) or "", schema=json_schema(name))
            for name, config in ALGORITHMS.items()
        ]
        return Page(items=items, next_cursor=None)

    return router

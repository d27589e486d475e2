"""The HTTP API: one router per noun under /api/v1, OpenAI's protocol under /v1, health and metrics at the root."""

from typing import TYPE_CHECKING

from fastapi import FastAPI

from app.api import (
    agreement,
    algorithms,
    checkpoints,
    comparisons,
    deployments,
    docs,
    evaluations,
    feedback,
    health,
    imports,
    openai,
    preferences,
    prompts,
    rubrics,
    settings,
    training_runs,
    unknown,
    verdicts,
    win_rates,
)
from app.api.traffic import CountTraffic, Traffic

if TYPE_CHECKING:
    from app.main import Application


def install_routes(app: FastAPI, application: "Application") -> None:
    """Add every route; the page is mounted after them, at /."""
    traffic = Traffic()
    routers = [module.routes(application) for module in _NOUNS]
    routers.append(health.routes(application, traffic))
    routers.append(openai.routes(application, traffic))
    for router in routers:
        app.include_router(router)
    docs.install(app)
    known = [route for router in routers for route in router.routes]
    app.include_router(unknown.routes(known))
    app.add_middleware(CountTraffic, traffic=traffic)


_NOUNS = (
    comparisons,
    preferences,
    prompts,
    training_runs,
    algorithms,
    checkpoints,
    deployments,
    evaluations,
    verdicts,
    rubrics,
    win_rates,
    agreement,
    feedback,
    imports,
    settings,
)

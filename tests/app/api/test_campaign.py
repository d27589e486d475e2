"""Schemathesis on the OpenAPI document: whatever is sent to any route, right or wrong, no answer is a 500.

Rows that exist are asked for beside ids that are made up. `make soak` sends many more (MORE).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import schemathesis
from fakes import FakeEngine
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from rows import record_history
from schemathesis import GenerationMode

from app.serving.ticket import Ticket
from trainer.decoding import RowUpdate

FEW, MORE = 4, 200
# ids of rows/record_history, by the names that the paths give them
KNOWN = {
    "preference_id": 3,
    "run_id": "dpo-0002",
    "checkpoint_id": "dpo-0001",
    "evaluation_id": 1,
    "prompt_id": 3,
    "name": "helpful",
    "digest": "0" * 64,
    "model": "served",
}


@dataclass
class Instant(FakeEngine):
    """Real tickets, done at once, for the routes that stream."""

    def submit(self, messages_list: Sequence[Any], **options: Any) -> Any:
        made = super().submit(messages_list, **options).made
        ticket = Ticket("initial", prompt_tokens=[1] * len(messages_list))
        for row, generated in enumerate(made):
            ticket.deliver([RowUpdate(row, generated.text, None), RowUpdate(row, "", generated)])
        ticket.end()
        return ticket


@pytest.fixture
def schema(parts: Any, client: Any) -> Iterator[Any]:
    """The document of an app with a past, whose next comparison is there or is not, without a wait."""
    record_history(parts.database, parts.data_dir, slot=parts.slot, bound=True)
    parts.engine.__class__ = Instant
    next_comparison = parts.labelling.next_comparison
    parts.labelling.refill()
    parts.labelling.next_comparison = partial(next_comparison, wait_s=0.0)
    yield schemathesis.openapi.from_asgi("/openapi.json", client.app)


def attack(schema: Any, *, count: int) -> tuple[Counter[str], list[str]]:
    """Send `count` requests of each sort to every operation; how many had which status, and those that failed."""
    seen: Counter[str] = Counter()
    failed: list[str] = []
    for found in schema.get_all_operations():
        operation = found.ok()
        given_ids = {p.name: KNOWN[p.name] for p in operation.path_parameters}
        right = {"generation_mode": GenerationMode.POSITIVE}
        sorts: list[dict[str, Any]] = [right, right | {"path_parameters": given_ids}] if given_ids else [right]
        if _can_be_wrong(operation):
            sorts += [sort | {"generation_mode": GenerationMode.NEGATIVE} for sort in sorts]
        for sort in sorts:
            _attack(operation.as_strategy(**sort), count, seen, failed)
        seen["operations"] += 1
    return seen, failed


def _can_be_wrong(operation: Any) -> bool:
    """Any text is right for an id that is a text; there the search for a wrong one takes seconds and finds none."""
    ids = [p.definition["schema"].get("type") for p in operation.path_parameters]
    return bool(list(operation.body) or list(operation.query) or set(ids) - {"string"})


def _attack(cases: Any, count: int, seen: Counter[str], failed: list[str]) -> None:
    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def tried(case: Any) -> None:
        answer = case.call()
        seen[str(answer.status_code)] += 1
        seen["requests"] += 1
        if answer.status_code >= 500 and answer.status_code != 503:
            failed.append(f"{answer.status_code} {case.method} {case.formatted_path} {case.query} {case.body!r}"[:400])
        if answer.status_code >= 400 and answer.headers["content-type"] == ["application/json"]:
            error = answer.json()["error"]
            assert error["code"] and error["message"], answer.text

    try:
        tried()
    except Unsatisfiable:  # nothing wrong can be sent there
        seen["no wrong requests"] += 1


@pytest.mark.filterwarnings("ignore")
def test_no_request_to_any_route_is_a_server_error(schema: Any) -> None:
    seen, failed = attack(schema, count=FEW)
    assert not failed, failed
    assert seen["operations"] > 35 and seen["requests"] > 250, seen
    assert seen["200"] > 40 and seen["422"] > 60, seen


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore")
def test_no_request_of_very_many_is_a_server_error(schema: Any) -> None:
    seen, failed = attack(schema, count=MORE)
    print(f"\nrequests: {dict(seen)}, failures {len(failed)}")
    assert not failed, failed

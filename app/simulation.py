"""A labeller made of a rule: labels over the REST API, waits for the run it triggers, and measures what has changed.

It sees what a person sees (two texts) and nothing else; the measuring asks the OpenAI-compatible route for completions
of held-out prompts, before and after. Proof that the loop closes, and a load test of it.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import httpx

from storage.errors import Invalid, Refused, Unavailable
from trainer.starter.check import is_right, is_well_formed

Messages = list[dict[str, str]]
Rule = Callable[[Messages, str], bool]

TEMPERATURE = 0.7
FINAL = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Measured:
    """Shares in 0..1 of `n` completions of held-out prompts; `right` of those prompts whose answer can be checked."""

    checkpoint_id: str
    n: int
    share: float
    right: float | None
    right_n: int
    well_formed: float
    mean_length: float


@dataclass(frozen=True)
class Simulated:
    """What a round of labelling did."""

    labels: int
    decided: int
    before: Measured
    after: Measured
    run: dict[str, Any]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Simulation:
    """One round against a running PrefLoop. `tell` gets lines of progress."""

    def __init__(self, url: str, *, token: str = "", tell: Callable[[str], None] = lambda _: None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=180)
        self._tell = tell

    def run(
        self, rule: Rule, *, labels: int, completions: int = 1000, seed: int = 0, wait_s: float = 3600
    ) -> Simulated:
        """Measure, label, wait for the triggered run's gate and the swap, measure again.

        Raises Unavailable when nothing answers at the URL or the run does not end in `wait_s` seconds.
        """
        began = time.monotonic()
        self._wait_until_ready()
        served = self._call("GET", "/api/v1/deployments/current")["checkpoint_id"]
        before = self.measure(served, rule, completions=completions, seed=seed)
        self._tell(f"before: {before.share:.1%} of {before.n} completions satisfy the rule")
        schedule = self._call("GET", "/api/v1/schedule")
        known = {r["id"] for r in self._runs()}
        try:
            # none before the last label: choices that waited already would start it early, without ours
            self._call("PUT", "/api/v1/schedule", {"new_preferences": 0})
            decided = sum(self.label(rule) in ("left", "right") for _ in self._counted(labels))
            self._call("PUT", "/api/v1/schedule", {"new_preferences": labels})
            run = self._wait_for_run(known, wait_s)
        finally:
            self._call("PUT", "/api/v1/schedule", {"new_preferences": schedule["new_preferences"]})
        if run["checkpoint_id"] is None:
            raise Unavailable(f"Run {run['id']} {run['status']} without a checkpoint: {run['error']}")
        if (run["gate"] or {}).get("outcome") == "promote" and schedule["after_gate"] == "automatic":
            self._wait_until_served(run["checkpoint_id"], wait_s)
        after = self.measure(run["checkpoint_id"], rule, completions=completions, seed=seed)
        return Simulated(labels, decided, before, after, run, time.monotonic() - began)

    def label(self, rule: Rule) -> str:
        """One comparison, decided by the rule: a tie where both sides satisfy it, or neither."""
        shown = self._call("POST", "/api/v1/comparisons/next", {})
        messages = shown["prompt"]["messages"]
        left, right = (rule(messages, shown[side]["text"]) for side in ("left", "right"))
        choice = "tie" if left == right else "left" if left else "right"
        self._call(
            "POST",
            "/api/v1/preferences",
            {"comparison_id": shown["id"], "choice": choice, "client_id": uuid.uuid4().hex},
        )
        return choice

    def measure(self, model: str, rule: Rule, *, completions: int, seed: int = 0) -> Measured:
        """Sample `completions` completions of the held-out prompts at temperature 0.7 and apply the rule."""
        prompts = list(islice(self._prompts(), completions))
        if not prompts:
            raise Invalid("There are no held-out prompts to measure on.", hint="Import some with split heldout.")
        each = -(-completions // len(prompts))
        with ThreadPoolExecutor(2) as pool:
            made = list(pool.map(lambda p: self._complete(model, p[1], each, seed + p[0]), enumerate(prompts)))
        rows = [(p, text) for p, (_, texts) in zip(prompts, made, strict=True) for text in texts]
        # every prompt's k-th completion before any prompt's next, cut to the number asked for
        rows = [rows[i * each + k] for k in range(each) for i in range(len(prompts))][:completions]
        judged = [r for r in (is_right(p, text) for p, text in rows) if r is not None]
        return Measured(
            checkpoint_id=made[0][0],
            n=len(rows),
            share=_mean([rule(p, text) for p, text in rows]),
            right=_mean(judged) if judged else None,
            right_n=len(judged),
            well_formed=_mean([is_well_formed(text) for _, text in rows]),
            mean_length=_mean([len(text) for _, text in rows]),
        )

    def _complete(self, model: str, messages: Messages, n: int, seed: int) -> tuple[str, list[str]]:
        body = {
            "model": model,
            "messages": messages,
            "n": n,
            "seed": seed,
            "temperature": TEMPERATURE,
            "max_tokens": 160,
        }
        reply = self._call("POST", "/v1/chat/completions", body)
        return reply["checkpoint_id"], [choice["message"]["content"] for choice in reply["choices"]]

    def _prompts(self) -> Iterator[Messages]:
        cursor: str | None = None
        while True:
            at = f"&cursor={cursor}" if cursor else ""
            page = self._call("GET", f"/api/v1/prompts?split=heldout&limit=200{at}")
            for prompt in page["items"]:
                yield prompt["messages"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _counted(self, labels: int) -> Iterator[int]:
        for number in range(1, labels + 1):
            yield number
            if number % 25 == 0 or number == labels:
                self._tell(f"{number} of {labels} comparisons labelled")

    def _runs(self) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = self._call("GET", "/api/v1/training-runs")["items"]
        return runs

    def _wait_for_run(self, known: set[str], wait_s: float) -> dict[str, Any]:
        deadline, told = time.monotonic() + wait_s, ""
        while time.monotonic() < deadline:
            new = [r for r in self._runs() if r["id"] not in known]
            if new:
                run = self._call("GET", f"/api/v1/training-runs/{new[-1]['id']}")
                if run["status"] in FINAL:
                    return dict(run)
                stage = f"{run['id']}: {run['stage']}"
                if stage != told:
                    self._tell(stage)
                    told = stage
            time.sleep(1)
        raise Unavailable(f"No run triggered by the labels ended within {wait_s:.0f} s.")

    def _wait_until_served(self, checkpoint_id: str, wait_s: float) -> None:
        deadline = time.monotonic() + min(wait_s, 120)
        while time.monotonic() < deadline:
            current = self._call("GET", "/api/v1/deployments/current")
            if current["checkpoint_id"] == checkpoint_id:
                self._tell(f"{checkpoint_id} is served")
                return
            if current["paused_choices"]:
                self._tell(
                    f"{checkpoint_id} is served after {current['paused_choices']} more choices: {current['note']}"
                )
                return
            time.sleep(0.5)
        raise Unavailable(f"{checkpoint_id} passed the gate but is not served.", hint="See the deployment ledger.")

    def _wait_until_ready(self, wait_s: float = 120) -> None:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                reply = self._http.get("/readyz")
                if reply.status_code == 200:
                    return
                if reply.status_code in (401, 403):
                    raise Refused(f"{self._http.base_url} answered {reply.status_code}.", hint=reply.text[:500])
            except httpx.TransportError as error:
                if time.monotonic() > deadline - wait_s + 10:
                    raise Unavailable(
                        f"Nothing answers at {self._http.base_url}: {error}.", hint="Start it with `prefloop serve`."
                    ) from error
            if time.monotonic() > deadline:
                raise Unavailable(f"{self._http.base_url} did not become ready in {wait_s:.0f} s.")
            time.sleep(0.5)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        reply = self._http.request(method, path, json=body)
        if reply.status_code == 204:
            raise Unavailable("There are no prompts left to compare.", hint="Import more prompts.")
        if reply.is_error:
            raise Invalid(f"{method} {path} answered {reply.status_code}: {reply.text[:500]}")
        return reply.json()


def _mean(values: list[bool] | list[int]) -> float:
    return sum(values) / len(values)

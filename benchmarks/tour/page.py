"""The page as a person goes through it, read from the page itself: pairs, the run's stages, the header, the chart.

Leaves out what is chosen (labeller.py) and what is made of the moments (report.py).
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Error, Page, TimeoutError
from tour.labeller import Labeller, Messages
from tour.report import Choice, Moments
from tour.served import TourStopped

ENDED = ("promoted", "refused", "inconclusive", "succeeded", "failed", "cancelled")
LOOK_MS = 200
CHECK_MS = 5000  # between two looks at whether the server still runs, while the page is waited for
CHARTED_S = 60  # for the chart, once its tab is opened
EARLY_S = 0.1  # no lateness: the driver's own time
TAKEN_S = 20  # for a key to be taken once its pair is shown

_PAIR = """before => {
  const pair = document.querySelector("#label-view .compare[data-comparison]:not(.is-sending)");
  if (!pair || pair.dataset.comparison === before) return null;
  const [left, right] = [...pair.querySelectorAll(".side .text")].map(e => e.innerText);
  const messages = [...pair.querySelectorAll(".prompt .message")].map(e => ({
    role: e.classList.item(1), content: e.querySelector(".text").innerText }));
  return {id: pair.dataset.comparison, messages, left, right};
}"""
_TAKEN = """id => {
  const pair = document.querySelector("#label-view .compare[data-comparison]");
  return !pair || pair.dataset.comparison !== id || pair.classList.contains("is-sending");
}"""
_TRAIN = """() => {
  const text = e => (e?.textContent ?? "").replace(/\\s+/g, " ").trim();
  const $ = (selector, root) => (root ?? document).querySelector(selector);
  const row = $("#runs ul.rows li"), run = $("#running .headline h2");
  return {
    served: text($("#pill b")),
    run: text(run).split(" ")[0],
    stage: text([...document.querySelectorAll("#running .headline ~ p")].pop()).split(" · ")[0],
    listed: row ? text($(".what b", row)) : "",
    outcome: row ? text($(".outcome .chip", row)) : "",
    why: row ? text($(".outcome .why", row)) : "",
  };
}"""
_CHARTED = """run => {
  const row = [...document.querySelectorAll("#win-rates-table tbody tr")].find(
    e => e.querySelector("td")?.textContent.trim() === run);
  const drawn = [...document.querySelectorAll("#page-win-rates .js-plotly-plot .errorbar")].some(
    e => e.getBoundingClientRect().height > 0);
  return row && drawn ? [...row.querySelectorAll("td")].slice(0, 7).map(e => e.innerText.trim()).join(", ") : null;
}"""


@dataclass(frozen=True)
class Pair:
    """A comparison as it is shown."""

    id: str
    messages: Messages
    left: str
    right: str


@dataclass(frozen=True)
class TrainView:
    """What the header and the Train page show at one look; empty where something is not shown."""

    served: str = ""
    run: str = ""
    stage: str = ""
    listed: str = ""
    outcome: str = ""
    why: str = ""


@dataclass
class News:
    """Turns one look after another at the Train page into moments, each told once."""

    told: set[str] = field(default_factory=set)

    def of(self, view: TrainView) -> list[tuple[str, str]]:
        """(name, what is seen) of the moments that are new in this view, in their order."""
        seen = []
        run = view.run or view.listed
        if run:
            seen.append(("run", f"{run} is under way" if view.run else f"{run} {view.outcome}"))
        if view.run and view.stage:
            seen.append(("stage", view.stage))
        if view.outcome in ENDED:
            seen.append(("gate", f"{view.outcome}: {view.why}"))
        if run and view.served == run:
            seen.append(("swap", f"the header says: serving {run}"))
        new = []
        for name, what in seen:
            key = what if name == "stage" else name
            if key not in self.told:
                self.told.add(key)
                new.append((name, what))
        return new


class TourPage:
    """The open page. Every wait ends at `deadline` (time.monotonic) with TourStopped, saying what was not seen."""

    def __init__(self, page: Page, *, out: Path, deadline: float, check: Callable[[], None]) -> None:
        self._page = page
        self._out = out
        self._deadline = deadline
        self._check = check
        self._pictures = 0
        self._errors: list[str] = []
        page.on("console", lambda said: self._errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self._errors.append(str(error)))

    def picture(self, name: str) -> None:
        self._pictures += 1
        self._page.screenshot(path=self._out / f"{self._pictures:02}-{name}.png")

    def open(self, url: str) -> None:
        """Load the page, asking again while nothing listens yet; until its first step can be clicked."""
        while True:
            try:
                self._page.goto(url, timeout=self._left_ms())
                break
            except Error as error:
                if "ERR_CONNECTION_REFUSED" not in str(error):
                    raise TourStopped(f"{url} could not be opened: {error}") from error
            self._pause(LOOK_MS)
        self._errors.clear()  # that nothing listened yet is no error of the page
        self._see(
            "() => document.querySelector(\"#cards a[href='#label']\") !== null", "the first step on the overview"
        )

    def go(self, tab: str) -> None:
        """Click a tab of the header."""
        self._page.click(f"nav.tabs a[href='#{tab}']", timeout=self._left_ms())

    def begin(self) -> Pair:
        """Click the overview's first step and wait for a pair."""
        self._page.click("#cards a[href='#label']", timeout=self._left_ms())
        return self.next_pair("")

    def next_pair(self, before: str) -> Pair:
        """The pair shown after the one with the id `before`."""
        return Pair(**self._see(_PAIR, "another pair", before))

    def label(self, labeller: Labeller, first: Pair, *, labels: int, pace_s: float) -> list[Choice]:
        """Choose `labels` times, each `pace_s` after the one before; at once where the page shows the pair later."""
        choices: list[Choice] = []
        pair, due = first, time.monotonic() + pace_s
        for number in range(1, labels + 1):
            self._pause(1000 * (due - time.monotonic()))
            decision = labeller.decide(pair.messages, pair.left, pair.right)
            self._press("1" if decision.side == "left" else "2", pair)
            chosen = time.monotonic()
            late, due = chosen - due, chosen + pace_s
            next_pair_s = None
            if number < labels:
                pair = self.next_pair(pair.id)
                next_pair_s = time.monotonic() - chosen
            choices.append(Choice(decision.by, late if late > EARLY_S else 0.0, next_pair_s))
        self._see(
            "id => document.querySelector('#label-view .compare')?.dataset.comparison !== id",
            "the last choice taken",
            pair.id,
        )
        return choices

    def follow_run(self, moments: Moments) -> tuple[str, bool]:
        """Look at the Train page until the header names the run's checkpoint or the run ends otherwise.

        The run's id, and whether it was promoted.
        """
        news = News()
        while True:
            view = TrainView(**self._page.evaluate(_TRAIN))
            for name, told in news.of(view):
                moments.mark(name, told)
                self.picture("-".join((told if name == "stage" else name).split()[:2]))
            if view.outcome in ENDED and (view.outcome != "promoted" or "swap" in news.told):
                return view.run or view.listed, view.outcome == "promoted"
            self._left_ms("the end of the run" if "gate" not in news.told else "the swap")
            self._pause(LOOK_MS)

    def chart(self, run: str) -> str:
        """Open the win rates and wait until the run's point is drawn; what its row of the table says."""
        self.go("win-rates")
        until = time.monotonic() + CHARTED_S
        return str(self._see(_CHARTED, f"the point of {run} in the chart", run, until=until))

    def gate_reasons(self, run: str) -> list[str]:
        """Open the run's own page: why the gate decided as it did."""
        self.go("train")
        self._page.click(f"#runs a[href='#train/{run}']", timeout=self._left_ms())
        self._see(
            "run => document.querySelector('#run-detail h2')?.textContent.includes(run)", f"the page of {run}", run
        )
        return [text.strip() for text in self._page.locator("#run-detail .reasons li").all_text_contents()]

    def leave(self) -> list[str]:
        """Close the page, which asks the server again and again; the first lines of the errors it had."""
        errors = list(dict.fromkeys(error.strip().split("\n")[0] for error in self._errors))
        self._page.goto("about:blank")
        return errors

    def _press(self, key: str, pair: Pair) -> None:
        """Press until the page takes it: a new pair takes no key in its first quarter of a second."""
        until = time.monotonic() + TAKEN_S
        while True:
            self._page.keyboard.press(key)
            if self._page.evaluate(_TAKEN, pair.id):
                return
            if time.monotonic() > until:
                raise TourStopped(f"the page took no key {key} for the pair {pair.id} within {TAKEN_S} s")
            self._pause(50)

    def _see(self, script: str, what: str, argument: Any = None, *, until: float | None = None) -> Any:
        """What the script returns as soon as it is neither null nor false."""
        while True:
            with suppress(TimeoutError):
                patience = min(CHECK_MS, self._left_ms(what, until=until))
                return self._page.wait_for_function(script, arg=argument, timeout=patience).json_value()

    def _left_ms(self, what: str = "the page", *, until: float | None = None) -> float:
        """Milliseconds until the deadline, or `until`. Raises TourStopped when none are, or when the server is gone."""
        self._check()
        left = 1000 * (min(self._deadline, until or self._deadline) - time.monotonic())
        if left <= 0:
            raise TourStopped(f"the time was up before this was seen: {what}")
        return left

    def _pause(self, ms: float) -> None:
        if ms > 0:
            self._page.wait_for_timeout(ms)

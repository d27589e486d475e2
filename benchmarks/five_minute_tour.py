"""The five-minute tour, timed in a real browser: start, 40 choices, run, gate, swap, chart.

    python benchmarks/five_minute_tour.py

A labeller who decides every pair by a rule (tour/labeller.py) opens the page of a fresh `prefloop serve` in Chromium,
chooses with the keyboard at a person's pace, watches the run these choices start, and opens the win rates. The clock
starts with the command, not with the page; every moment is something seen on the page. Afterwards, and no longer timed,
the initial and the new model are asked for completions of held-out prompts. Exit status 0: the promoted checkpoint was
in the header and in the chart within five minutes; 1: it was not, with the reason. What installing takes is left out.
"""

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from playwright.sync_api import Error, Page, sync_playwright
from tour.labeller import Labeller
from tour.page import TourPage
from tour.report import LIMIT_S, Moments, Report, choices_told, moments_table, shares_table, shortfall
from tour.served import Served, TourStopped, served

from app.runs import Schedule
from app.simulation import Simulation
from storage.errors import PrefLoopError
from trainer.starter.rules import find_rule

LABELS = 40
COMPLETIONS = 300  # measured of each model
WIDTH, HEIGHT = 1280, 800


def main() -> int:
    given = options()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that the app is ended too
    given.out.mkdir(parents=True, exist_ok=True)
    report = Report(given.out / "tour.md")
    with chromium(headed=given.headed) as page, served(given.out / "serve.log") as app:
        reason = take(page, app, given, report)
    report.add(f"The tour failed: {reason}" if reason else f"The tour held: within {LIMIT_S:.0f} s.")
    return 1 if reason else 0


def take(page: Page, app: Served, given: argparse.Namespace, report: Report) -> str:
    """The whole tour; why it does not hold, empty where it does."""
    moments = Moments(zero=app.started, tell=lambda line: print(line, flush=True))
    deadline = app.started + given.timeout
    tour = TourPage(page, out=given.out, deadline=deadline, check=app.check)
    report.add(f"Rule {given.rule}, {given.labels} choices, one every {given.pace:g} s.")
    url, run, stopped = "", "", ""
    try:
        url = app.address(deadline)
        run = walk(tour, moments, url, given)
    except (TourStopped, Error, httpx.HTTPError) as error:
        stopped = str(error).strip().splitlines()[0]
        with suppress(Error):
            tour.picture("stopped")
    report.add(moments_table(moments.marked))
    try:
        if run:
            report.add("\n".join(f"- {reason}" for reason in tour.gate_reasons(run)))
            tour.picture("gate-reasons")
        for error_told in tour.leave():
            report.add(f"An error on the page: {error_told}")
        if run:
            print(f"\nmeasuring {COMPLETIONS} completions of each model, no longer timed", flush=True)
            report.add(measure(url, run, given.rule))
    except (TourStopped, Error, httpx.HTTPError, PrefLoopError) as error:
        report.add(f"What came after the chart stopped: {error}")
    return stopped or shortfall(moments)


def walk(tour: TourPage, moments: Moments, url: str, given: argparse.Namespace) -> str:
    """From the address to the chart; the run's id, whatever became of it."""
    tour.open(url)
    moments.mark("page", "the overview says where to begin")
    tour.picture("page")
    if given.labels != Schedule().new_preferences:  # what starts a run where nothing is set
        httpx.put(f"{url}/api/v1/schedule", json={"new_preferences": given.labels}, timeout=60).raise_for_status()
    first = tour.begin()
    moments.mark("start", "the first pair is shown")
    tour.picture("start")
    labeller = Labeller(find_rule(given.rule), given.otherwise)
    choices = tour.label(labeller, first, labels=given.labels, pace_s=given.pace)
    moments.mark("choices", choices_told(choices))
    tour.picture("choices")
    tour.go("train")
    run, promoted = tour.follow_run(moments)
    try:
        moments.mark("chart", tour.chart(run))
        tour.picture("chart")
    except TourStopped:
        if promoted:  # any other checkpoint may well have no point in the chart
            raise
    return run


def measure(url: str, run: str, rule: str) -> str:
    """Both models' completions of held-out prompts, through the OpenAI-compatible route."""
    simulation, found = Simulation(url), find_rule(rule)
    return shares_table(rule, [simulation.measure(m, found, completions=COMPLETIONS) for m in ("initial", run)])


@contextmanager
def chromium(*, headed: bool) -> Iterator[Page]:
    """A page of the system's Chromium."""
    path = os.environ.get("CHROMIUM_PATH") or shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        sys.exit("No Chromium was found: install the package chromium, or name one in CHROMIUM_PATH.")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
        browser = playwright.chromium.launch(
            executable_path=path, headless=not headed, args=[*arguments, *([] if headed else ["--disable-gpu"])]
        )
        try:
            yield browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        finally:
            browser.close()


def options() -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rule", default="polite", help="what is preferred: a rule's name, not-RULE, module:function")
    parser.add_argument(
        "--otherwise", choices=("longer", "shorter"), default="longer", help="liked where the rule tells nothing apart"
    )
    parser.add_argument(
        "--labels", type=int, default=LABELS, help="choices; the schedule is set to it where its default differs"
    )
    parser.add_argument("--pace", type=float, default=4.0, help="seconds from one choice to the next")
    parser.add_argument(
        "--out", type=Path, default=Path("test-results/tour"), help="folder for pictures, tour.md and serve.log"
    )
    parser.add_argument("--headed", action="store_true", help="show the browser")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds after which the tour is given up")
    given = parser.parse_args()
    try:
        find_rule(given.rule)
    except ValueError as error:
        parser.error(str(error))
    if given.labels < 1 or given.pace < 0 or given.timeout <= 0:
        parser.error("--labels must be at least 1, --pace at least 0, --timeout above 0")
    return given


if __name__ == "__main__":
    sys.exit(main())

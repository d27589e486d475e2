"""How long the win-rate page's numbers and the leaderboard take with many stored choices.

Fills a database of its own with evaluation choices over checkpoints (a third each against the initial model, the one
before, and any other; a few withdrawn), then times: the numbers counted for the first time, again with nothing new,
again after one more choice and after one undo, and Bradley-Terry with intervals. Status 1 where the second, third or
fourth takes 300 ms or more, or the ratings 2 s. Times are of this process's CPU, so that others on the machine do not
count; the clock's are printed beside them.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlmodel import col, func, select

sys.path.insert(0, str(Path(__file__).parents[1]))

from app.leaderboard import leaderboard
from app.win_rates import PEOPLE, WinRates, points
from storage.database import Database
from storage.preferences import withdraw_preference
from storage.tables import Preference

PAGE_S, RATINGS_S = 0.3, 2.0
PROMPTS = 2000
AT = "2026-01-01 00:00:00.000000"

PARENTS = [
    "INSERT INTO labeller (id, name, created_at) VALUES ('ann', '', :at)",
    """WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :checkpoints - 1)
    INSERT INTO checkpoint (id, name, kind, source, digest, metrics, created_at)
    SELECT CASE i WHEN 0 THEN 'initial' ELSE printf('dpo-%04d', i) END, printf('c%d', i),
    CASE i WHEN 0 THEN 'initial' ELSE 'adapter' END, '', '', '{}', datetime(:at, '+' || i || ' minutes') FROM n""",
    """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :prompts)
    INSERT INTO prompt (id, digest, messages, group_key, opening, split, tags, source, offered, created_at)
    SELECT i, i, '[]', i, i, 'heldout', '[]', 'test', 1, :at FROM n""",
    """INSERT INTO completion (id, prompt_id, checkpoint_id, text, created_at)
    SELECT rowid, 1, id, '', :at FROM checkpoint""",
]
# a is better the newer it is; sides are drawn
ROWS = """WITH RECURSIVE n(i) AS (SELECT :begin UNION ALL SELECT i + 1 FROM n WHERE i < :end - 1),
drawn AS MATERIALIZED (SELECT i, 1 + abs(random()) % (:checkpoints - 1) AS a, abs(random()) % 3 AS way,
    abs(random()) % :checkpoints AS any, abs(random()) % 2 AS turned, abs(random()) % 10 AS luck FROM n),
met AS (SELECT i, a, turned, luck, CASE way WHEN 0 THEN 0 WHEN 1 THEN a - 1 ELSE any END AS b FROM drawn)
INSERT INTO scratch SELECT i, 1 + abs(random()) % :prompts, CASE turned WHEN 1 THEN b ELSE a END,
    CASE turned WHEN 1 THEN a ELSE b END,
    CASE WHEN luck < 2 THEN 'tie' WHEN (luck < 6) = ((a > b) <> turned) THEN 'left' ELSE 'right' END,
    50 + abs(random()) % 400, 50 + abs(random()) % 400 FROM met WHERE a <> b"""
FILL = [
    """INSERT INTO comparison (id, prompt_id, left_id, right_id, purpose, state, generation, created_at)
    SELECT printf('%032d', i), prompt, l + 1, r + 1, 'evaluate', 'decided', 0, :at FROM scratch""",
    """INSERT INTO preference (id, client_id, comparison_id, prompt_id, labeller_id, choice, purpose, imported,
    left_checkpoint_id, right_checkpoint_id, left_length, right_length, created_at, withdrawn_at)
    SELECT i, printf('%032d', i), printf('%032d', i), prompt, 'ann', choice, 'evaluate', 0,
    CASE l WHEN 0 THEN 'initial' ELSE printf('dpo-%04d', l) END,
    CASE r WHEN 0 THEN 'initial' ELSE printf('dpo-%04d', r) END, ll, lr, :at,
    CASE i % 200 WHEN 0 THEN :at END FROM scratch""",
    "DELETE FROM scratch",
]
BATCH = 100_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--choices", type=int, default=1_000_000)
    parser.add_argument("--checkpoints", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="keep the database here, and use one that is there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        filled = (folder / "prefloop.sqlite").exists()
        database = Database.in_directory(folder)
        database.migrate()
        if not filled:
            fill(database, choices=given.choices, checkpoints=given.checkpoints)
        held = measure(database)
        database.close()
    return 0 if held else 1


def fill(database: Database, *, choices: int, checkpoints: int) -> None:
    values = {"at": AT, "checkpoints": checkpoints, "prompts": PROMPTS}
    with database.write() as session:
        connection = session.connection().connection.driver_connection
        assert connection is not None
        connection.execute(
            "CREATE TEMP TABLE scratch (i INTEGER, prompt INTEGER, l INTEGER, r INTEGER, choice, ll, lr)"
        )
        for statement in PARENTS:
            connection.execute(statement, values)
        for begin in range(1, choices + 1, BATCH):
            connection.execute(ROWS, {**values, "begin": begin, "end": min(begin + BATCH, choices + 1)})
            for statement in FILL:
                connection.execute(statement, values)


def measure(database: Database) -> bool:
    rates = WinRates(database)
    found, first = timed("the numbers, counted for the first time", lambda: points(rates.read()))
    _, again = timed("the numbers again, nothing new", lambda: points(rates.read()))
    one_more(database)
    _, more = timed("the numbers after one more choice", lambda: points(rates.read()))
    with database.write() as session:
        oldest = session.exec(select(func.min(Preference.id)).where(col(Preference.withdrawn_at).is_(None))).one()
        withdraw_preference(session, preference_id=oldest)
    _, undone = timed("the numbers after an undo", lambda: points(rates.read()))
    measured = rates.read()
    board, ratings = timed("Bradley-Terry with intervals and rank ranges", lambda: leaderboard(measured, PEOPLE))
    choices = sum(tally.choices for tally in measured.people.values())
    print(f"{choices:,} standing choices, {len(measured.people):,} pairs, {len(found)} points, {len(board)} rated")
    held = max(again, more, undone) < PAGE_S and ratings < RATINGS_S
    print(f"the page's {'holds' if held else 'does not hold'}; counted for the first time {first:.2f} s")
    return held


def one_more(database: Database) -> None:
    """The newest choice, made again on another comparison."""
    copied = "'again', 'again', prompt_id, labeller_id, choice, purpose, imported, left_checkpoint_id"
    with database.write() as session:
        connection = session.connection().connection.driver_connection
        assert connection is not None
        connection.execute(
            """INSERT INTO comparison (id, prompt_id, left_id, right_id, purpose, state, generation, created_at)
            SELECT 'again', prompt_id, left_id, right_id, purpose, state, generation, created_at FROM comparison
            WHERE id = printf('%032d', (SELECT max(id) FROM preference))"""
        )
        connection.execute(
            f"""INSERT INTO preference (client_id, comparison_id, prompt_id, labeller_id, choice, purpose, imported,
            left_checkpoint_id, right_checkpoint_id, left_length, right_length, created_at)
            SELECT {copied}, right_checkpoint_id, left_length, right_length, created_at FROM preference
            WHERE id = (SELECT max(id) FROM preference)"""
        )


def timed(what: str, act: Callable[[], Any]) -> tuple[Any, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    result = act()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"{what}: {1000 * cpu:,.0f} ms of CPU, {1000 * wall:,.0f} ms by the clock", flush=True)
    return result, cpu


if __name__ == "__main__":
    sys.exit(main())

"""Replies by the SHA-256 of everything that shaped them, in one SQLite file that several processes may share.

A reply is stored raw, as soon as it is there; a process killed at any moment loses at most the calls it was waiting
for. Of two processes that asked the same, the reply stored first stands for both. Verdicts are not stored: reading is
free.
Leaves out what is asked (asking.py) and comparing revisions (drift.py).
"""

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.evaluation.judges.base import Ask, Comparison, Judge, Reply

FILE = "judgements.sqlite"  # in the data directory
SCHEMA = 1  # of what identifies a call; raised where an old reply must not be found again
_BATCH = 500  # keys per query; SQLite allows 999 variables in old builds

_TABLES = """
CREATE TABLE IF NOT EXISTS reply (
    key TEXT PRIMARY KEY,
    judge TEXT NOT NULL,
    revision TEXT NOT NULL,
    model TEXT NOT NULL,
    request TEXT NOT NULL,
    ask TEXT NOT NULL,
    reply TEXT NOT NULL,
    made_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS reply_judge ON reply (judge, model, key);
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


def canonical(value: Any) -> str:
    """The one JSON text of a value. Half a surrogate pair stays an escape, so every text can be written."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def call_key(judge: Judge, ask: Ask) -> str:
    """SHA-256 of the request without its fence, the judge and its revision, the reminder and the repeat."""
    return digest(
        {
            "schema": SCHEMA,
            "judge": [judge.kind, judge.name, judge.revision],
            "request": judge.request(ask),
            "reminders": ask.reminders,
            "repeat": ask.repeat,
        }
    )


@dataclass(frozen=True, slots=True)
class Stored:
    """A reply as it was kept: its key, what was asked, and when (seconds since the epoch)."""

    key: str
    ask: Ask
    reply: Reply
    made_at: float


class ReplyCache:
    """The stored replies of a project. Safe between threads and processes."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.Lock()
        self._file = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        self._file.execute("PRAGMA busy_timeout=60000")
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=FULL")  # a reply may have cost money
        for statement in _TABLES.split(";"):
            self._file.execute(statement)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "ReplyCache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, keys: Iterable[str]) -> dict[str, Reply]:
        """The replies that are there, by key."""
        wanted, found = list(dict.fromkeys(keys)), dict[str, Reply]()
        for start in range(0, len(wanted), _BATCH):
            some = wanted[start : start + _BATCH]
            marks = ",".join("?" * len(some))
            for key, reply in self._read(f"SELECT key, reply FROM reply WHERE key IN ({marks})", some):
                found[key] = Reply.from_plain(json.loads(reply))
        return found

    def store(self, key: str, judge: Judge, ask: Ask, reply: Reply) -> Reply:
        """Keep a reply and give back the one that stands: that of another process, where it was quicker.

        Raises ValueError for a reply that failed: it is no reply, and must be asked for again.
        """
        if reply.failure:
            raise ValueError(f"a call that failed ({reply.failure}) is not stored: it must be asked again")
        row = (key, judge.name, judge.revision, reply.model, canonical(judge.request(ask)), _ask_text(ask))
        with self._lock:
            self._file.execute(
                "INSERT OR IGNORE INTO reply VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, canonical(reply.plain()), time.time()),
            )
            kept = self._file.execute("SELECT reply FROM reply WHERE key = ?", (key,)).fetchone()
        return Reply.from_plain(json.loads(kept[0]))

    def models(self, judge_name: str) -> list[str]:
        """What a judge has called itself so far, the one heard last at the end."""
        rows = self._read(
            "SELECT model, MAX(made_at) m FROM reply WHERE judge = ? GROUP BY model ORDER BY m", [judge_name]
        )
        return [model for model, _ in rows]

    def of_model(self, judge_name: str, model: str, count: int) -> list[Stored]:
        """Up to `count` first calls of a judge that called itself `model`: always the same ones, by key."""
        rows = self._read(
            "SELECT key, ask, reply, made_at FROM reply WHERE judge = ? AND model = ? ORDER BY key", [judge_name, model]
        )
        stored = (Stored(k, _ask_of(json.loads(a)), Reply.from_plain(json.loads(r)), at) for k, a, r, at in rows)
        plain = (one for one in stored if not one.ask.reminders and not one.ask.repeat)
        return [one for one, _ in zip(plain, range(count), strict=False)]

    def fact(self, name: str) -> Any:
        """What was noted under a name, or None."""
        rows = self._read("SELECT value FROM fact WHERE name = ?", [name])
        return json.loads(rows[0][0]) if rows else None

    def note(self, name: str, value: Any) -> None:
        with self._lock:
            self._file.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, canonical(value)))

    def _read(self, query: str, values: Sequence[Any]) -> list[Any]:
        with self._lock:
            return self._file.execute(query, values).fetchall()


def _ask_text(ask: Ask) -> str:
    return canonical(
        {
            "comparison": ask.comparison.plain(),
            "fence": ask.fence,
            "reminders": ask.reminders,
            "repeat": ask.repeat,
        }
    )


def _ask_of(row: Mapping[str, Any]) -> Ask:
    return Ask(Comparison(**row["comparison"]), row["fence"], row["reminders"], row["repeat"])

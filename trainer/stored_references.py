"""Reference log-probabilities kept in the database: the ReferenceStore of `trainer/algorithms/reference.py`."""

import hashlib
from collections.abc import Mapping, Sequence

from sqlmodel import col, select

from storage.database import Database
from storage.tables import ReferenceLogprob
from trainer.algorithms.reference import ReferenceKey

AT_ONCE = 500  # SQLite binds a limited number of variables, and people write meanwhile


class StoredReferences:
    """Reference log-probabilities kept in the database, so that no run computes one twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, keys: Sequence[ReferenceKey]) -> dict[ReferenceKey, float]:
        by_digest = {_digest(key): key for key in keys}
        wanted = list(by_digest)
        found: dict[ReferenceKey, float] = {}
        with self._database.read() as session:
            for start in range(0, len(wanted), AT_ONCE):
                part = wanted[start : start + AT_ONCE]
                query = select(ReferenceLogprob).where(col(ReferenceLogprob.key).in_(part))
                found |= {by_digest[row.key]: row.logprob for row in session.exec(query)}
        return found

    def put(self, values: Mapping[ReferenceKey, float]) -> None:
        rows = [ReferenceLogprob(key=_digest(key), logprob=value) for key, value in values.items()]
        for start in range(0, len(rows), AT_ONCE):
            with self._database.write() as session:
                for row in rows[start : start + AT_ONCE]:
                    session.merge(row)


def _digest(key: ReferenceKey) -> str:
    return hashlib.sha256("\n".join(map(str, key)).encode()).hexdigest()

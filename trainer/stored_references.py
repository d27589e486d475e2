"""Reference log-probabilities kept in the database: the ReferenceStore of `trainer/algorithms/reference.py`."""

import hashlib
from collections.abc import Mapping, Sequence

from sqlmodel import col, select

from storage.database import Database
from storage.tables import ReferenceLogprob
from trainer.algorithms.reference import ReferenceKey


class StoredReferences:
    """Reference log-probabilities kept in the database, so that no run computes one twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, keys: Sequence[ReferenceKey]) -> dict[ReferenceKey, float]:
        by_digest = {_digest(key): key for key in keys}
        wanted = list(by_digest)
        found: dict[ReferenceKey, float] = {}
        with self._database.read() as session:
            for start in range(0, len(wanted), 500):  # SQLite binds a limited number of variables
                part = wanted[start : start + 500]
                query = select(ReferenceLogprob).where(col(ReferenceLogprob.key).in_(part))
                found |= {by_digest[row.key]: row.logprob for row in session.exec(query)}
        return found

    def put(self, values: Mapping[ReferenceKey, float]) -> None:
        with self._database.write() as session:
            for key, value in values.items():
                session.merge(ReferenceLogprob(key=_digest(key), logprob=value))


def _digest(key: ReferenceKey) -> str:
    return hashlib.sha256("\n".join(map(str, key)).encode()).hexdigest()

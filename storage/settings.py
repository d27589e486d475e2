"""What people set in the app and a restart must keep. One row per topic; the caller knows its shape."""

from typing import Any

from sqlmodel import Session

from storage.tables import Setting, now


def get_setting(session: Session, name: str) -> dict[str, Any]:
    row = session.get(Setting, name)
    return dict(row.value) if row else {}


def record_setting(session: Session, name: str, value: dict[str, Any]) -> None:
    row = session.get(Setting, name) or Setting(name=name, value={})
    row.value = value
    row.updated_at = now()
    session.add(row)
    session.flush()

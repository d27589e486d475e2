"""When a labeller is shown a hidden repeat: by chance, once they have made choices enough to have forgotten some.

Told by the labeller's own count of choices alone, so a page that asks again draws no second lot, and nobody can tell
the turn before. Leaves out which one it is (storage/repeats.py) and what it shows of them (app/agreement.py).
"""

import random

from sqlmodel import Session

from storage.repeats import count_made, record_repeat
from storage.tables import Comparison

FIRST_CHOICES = 20  # without a repeat: the first impression of the page, and something to repeat


def due_repeat(session: Session, *, labeller_id: str, share: float) -> Comparison | None:
    """The repeat that comes now, leased to this labeller; None where none is due or there is nothing to repeat."""
    if share <= 0:
        return None
    made = count_made(session, labeller_id=labeller_id)
    chance = random.Random(f"{labeller_id}:{made}")
    if made < FIRST_CHOICES or chance.random() >= share:
        return None
    return record_repeat(session, labeller_id=labeller_id, chance=chance)

"""How many evaluation choices until the canary rolls back, when a labeller's wishes have turned round?

    python experiments/canary_delay.py

Draws evaluation choices of a labeller who now dislikes a trait that the served model's completions have with one
probability and the initial model's with another, and counts until the canary's own test strikes. No model is needed.
"""

import random
from functools import cache

from trainer.gate_rules import shown_worse

ROUNDS = 2000
UNTIL = (9, 12, 15, 19, 25)


@cache
def struck(wins: int, losses: int) -> bool:
    return shown_worse([1.0] * wins + [0.0] * losses)


def choices_until_strike(served: float, initial: float, chance: random.Random) -> int | None:
    wins = losses = 0
    for count in range(1, UNTIL[-1] + 1):
        served_has, initial_has = chance.random() < served, chance.random() < initial
        wins += initial_has > served_has
        losses += served_has > initial_has
        if struck(wins, losses):
            return count
    return None


def main() -> None:
    print("| served | initial | " + " | ".join(f"by {n}" for n in UNTIL) + " |\n|" + "---|" * (2 + len(UNTIL)))
    for served, initial in ((0.70, 0.39), (0.905, 0.353), (0.965, 0.353), (0.5, 0.5)):
        chance = random.Random(0)
        counts = [choices_until_strike(served, initial, chance) for _ in range(ROUNDS)]
        shares = " | ".join(f"{sum(count is not None and count <= n for count in counts) / ROUNDS:.0%}" for n in UNTIL)
        print(f"| {served:.1%} | {initial:.1%} | {shares} |")


if __name__ == "__main__":
    main()

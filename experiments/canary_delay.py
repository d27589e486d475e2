"""How many evaluation choices until the canary rolls back, when a labeller's wishes have turned round?

    python experiments/canary_delay.py

Draws evaluation choices of a labeller who now dislikes a trait that the served model's completions have with one
probability and the initial model's with another, and counts until the canary's own test strikes. No model is needed.
"""

import random

from app.promotion import CANARY_CONFIDENCE, CANARY_PROMPTS
from trainer.evaluation.statistics import win_rate

ROUNDS = 2000
UNTIL = (15, 17, 19, 25)


def choices_until_strike(served: float, initial: float, chance: random.Random) -> int:
    scores: list[float] = []
    while True:
        served_has, initial_has = chance.random() < served, chance.random() < initial
        scores.append(0.5 if served_has == initial_has else float(initial_has))
        if len(scores) >= CANARY_PROMPTS and win_rate(scores, confidence=CANARY_CONFIDENCE).interval.high < 0.5:
            return len(scores)


def main() -> None:
    print("| served | initial | " + " | ".join(f"by {n}" for n in UNTIL) + " |\n|" + "---|" * (2 + len(UNTIL)))
    for served, initial in ((0.70, 0.39), (0.905, 0.353), (0.965, 0.353)):
        chance = random.Random(0)
        counts = [choices_until_strike(served, initial, chance) for _ in range(ROUNDS)]
        shares = " | ".join(f"{sum(count <= n for count in counts) / ROUNDS:.0%}" for n in UNTIL)
        print(f"| {served:.1%} | {initial:.1%} | {shares} |")


if __name__ == "__main__":
    main()

"""Sums, differences and comparisons of small numbers: learned by practice, judged on pairs never practised."""

from random import Random

from trainer.starter.grammar.item import Item

LARGEST = 20


def sum_item(a: int, b: int) -> Item:
    """a + b, with 0 <= a, b <= 20."""
    total = a + b
    return Item(
        group=f"sum:{a}+{b}",
        questions=(
            f"What is {a} plus {b}?",
            f"How much is {a} + {b}?",
            f"{a} + {b} = ?",
            f"Add {a} and {b}.",
            f"What is {a} + {b}?",
        ),
        answers=(f"{a} plus {b} is {total}.", f"The answer is {total}.", f"{a} + {b} = {total}."),
        bare=str(total),
        keys=((str(total),),),
        extras=(f"Start at {a} and count {b} up.", "That is a simple sum."),
        wrongs=tuple(
            f"The answer is {wrong}." for wrong in (total + 1, total + 2, max(0, total - 1)) if wrong != total
        ),
        emoji="🧮",
        tags=("sum",),
    )


def difference_item(a: int, b: int) -> Item:
    """a - b, with 0 <= b <= a <= 20."""
    rest = a - b
    return Item(
        group=f"difference:{a}-{b}",
        questions=(
            f"What is {a} minus {b}?",
            f"How much is {a} - {b}?",
            f"{a} - {b} = ?",
            f"Take {b} away from {a}.",
        ),
        answers=(f"{a} minus {b} is {rest}.", f"The answer is {rest}.", f"{a} - {b} = {rest}."),
        bare=str(rest),
        keys=((str(rest),),),
        extras=(f"Start at {a} and count {b} down.", "That is a simple sum."),
        wrongs=tuple(f"The answer is {wrong}." for wrong in (rest + 1, rest + 2)),
        emoji="🧮",
        tags=("sum",),
    )


def larger_item(a: int, b: int) -> Item:
    """Which of two different numbers is the larger one; both orders are one question."""
    low, high = sorted((a, b))
    return Item(
        group=f"larger:{low}:{high}",
        questions=(
            f"Which is larger, {a} or {b}?",
            f"What is more, {a} or {b}?",
            f"{a} or {b}: which is the larger number?",
        ),
        answers=(
            f"The larger number is {high}.",
            f"{high} is larger than {low}.",
            f"{high} is more than {low}.",
        ),
        bare=str(high),
        keys=((str(high),),),
        extras=(f"The difference is {high - low}.",),
        wrongs=(f"{low} is larger than {high}.",),
        none_of=(f"{low} is",),
        emoji="⚖️",
        tags=("sum", "comparison"),
    )


def draw_sum(rng: Random) -> Item:
    """A sum, a difference or a comparison."""
    a, b = rng.randint(0, LARGEST), rng.randint(0, LARGEST)
    chance = rng.random()
    if chance < 0.5:
        return sum_item(a, b)
    if chance < 0.85:
        return difference_item(max(a, b), min(a, b))
    return larger_item(a, b + 1 if a == b else b)

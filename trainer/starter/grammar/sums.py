"""Sums, differences, comparisons and neighbours of small numbers: learned by practice, judged on pairs never practised.

Chat stays below twenty. `draw_practice` goes to 99, so that adding is learned from many pairs and not as a table.
"""

from random import Random

from trainer.starter.grammar.item import Item

LARGEST = 20
LARGEST_PRACTISED = 99


def _said(text: str, total: int) -> tuple[str, ...]:
    """Every way to say the result of "7 plus 5" or "7 minus 5"."""
    signs = text.replace("plus", "+").replace("minus", "-")
    makes = "That makes" if "plus" in text else "That leaves"
    return (
        f"{text} is {total}.",
        f"The answer is {total}.",
        f"{signs} = {total}.",
        f"{makes} {total}.",
        f"It is {total}.",
    )


def _off(text: str, right: int) -> tuple[tuple[str, str], ...]:
    """Near misses, each said in another way."""
    near = sorted({right + 1, right + 2, right + 10, abs(right - 1), abs(right - 2)} - {right})
    return tuple((_said(text, wrong)[(number + right) % 5], str(wrong)) for number, wrong in enumerate(near))


def sum_item(a: int, b: int) -> Item:
    """a + b."""
    total = a + b
    return Item(
        group=f"sum:{a}+{b}",
        questions=(
            f"What is {a} plus {b}?",
            f"How much is {a} + {b}?",
            f"{a} + {b} = ?",
            f"Add {a} and {b}.",
            f"What is {a} + {b}?",
            f"Calculate {a} + {b}.",
        ),
        answers=_said(f"{a} plus {b}", total),
        bare=str(total),
        keys=((str(total),),),
        extras=(f"Start at {a} and count {b} up.", "That is a simple sum.", f"{b} plus {a} gives the same."),
        wrongs=_off(f"{a} plus {b}", total),
        emoji="🧮",
        tags=("sum",),
    )


def difference_item(a: int, b: int) -> Item:
    """a - b, with b <= a."""
    rest = a - b
    return Item(
        group=f"difference:{a}-{b}",
        questions=(
            f"What is {a} minus {b}?",
            f"How much is {a} - {b}?",
            f"{a} - {b} = ?",
            f"Take {b} away from {a}.",
            f"Calculate {a} - {b}.",
        ),
        answers=_said(f"{a} minus {b}", rest),
        bare=str(rest),
        keys=((str(rest),),),
        extras=(f"Start at {a} and count {b} down.", "That is a simple sum."),
        wrongs=_off(f"{a} minus {b}", rest),
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
            f"It is {high}.",
        ),
        bare=str(high),
        keys=((str(high),),),
        extras=(f"The difference is {high - low}.",),
        wrongs=((f"{low} is larger than {high}.", str(low)), (f"{low} is more than {high}.", str(low))),
        none_of=(f"{low} is",),
        emoji="⚖️",
        tags=("sum", "comparison"),
    )


def neighbour_item(a: int, step: int) -> Item:
    """The number after (step 1) or before (step -1) a."""
    word, found = ("after" if step == 1 else "before"), a + step
    return Item(
        group=f"number-{word}:{a}",
        questions=(
            f"Which number comes {word} {a}?",
            f"What comes {word} {a}?",
            f"Name the number {word} {a}.",
        ),
        answers=(f"The number {word} {a} is {found}.", f"It is {found}.", f"{found} comes {word} {a}."),
        bare=str(found),
        keys=((str(found),),),
        extras=(f"You count from {min(a, found)} to {max(a, found)}.",),
        wrongs=((f"It is {a - step}.", str(a - step)), (f"It is {a + 2 * step}.", str(a + 2 * step))),
        emoji="🔢",
        tags=("sum", "counting"),
    )


def draw_sum(rng: Random) -> Item:
    """A sum, a difference, a comparison or a neighbour of numbers up to twenty."""
    a, b = rng.randint(0, LARGEST), rng.randint(0, LARGEST)
    chance = rng.random()
    if chance < 0.48:
        return sum_item(a, b)
    if chance < 0.83:
        return difference_item(max(a, b), min(a, b))
    if chance < 0.93:
        return larger_item(a, b + 1 if a == b else b)
    return neighbour_item(rng.randint(2, LARGEST), rng.choice((1, -1)))


def draw_practice(rng: Random) -> tuple[str, str, str]:
    """(group, question, reply) of a bare sum or difference, half of them with numbers up to 99."""
    largest = LARGEST if rng.random() < 0.5 else LARGEST_PRACTISED
    a, b = rng.randint(0, largest), rng.randint(0, largest)
    if rng.random() < 0.55:
        return f"sum:{a}+{b}", f"{a} + {b} =", str(a + b)
    a, b = max(a, b), min(a, b)
    return f"difference:{a}-{b}", f"{a} - {b} =", str(a - b)

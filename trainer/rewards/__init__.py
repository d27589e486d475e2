"""Rewards: what a completion is worth. One signature, one file per family, one composition of weighted terms.

    (prompts, completions, references) -> list[float | None]

`configs.py` says what a person may choose, `opening.open_rewards` makes it ready, `composition.py` adds the terms up,
`filters.py` holds what no term may outweigh. Importing this package costs nothing. The table of kinds, with what each
is known to be hacked by, is docs/rewards.md.
"""

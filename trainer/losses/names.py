"""The names of the pair losses, free of torch so that forms and the command line may know them."""

from typing import Literal

PairLossName = Literal[
    "sigmoid", "robust", "hinge", "ipo", "ipo_sum", "sigmoid_norm", "exo_pair", "discopop",
    "bco_pair", "nca_pair", "sppo_hard", "apo_zero", "apo_down", "aot", "aot_unpaired",
    "simpo", "cpo", "orpo", "sft",
]  # fmt: skip

"""Which models can be rated on one scale at all: who is linked to whom by comparisons, and in which direction.

A maximum-likelihood rating is finite exactly where the models are strongly connected: however they are divided in two,
some model of each half took a point from the other half (Ford 1957). A tie takes a point both ways.
Legend: M models, N comparisons.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Connectivity:
    """`island` [M]: models with the same number are linked by comparisons; `finite` [islands]: are its ratings finite?

    `largest` is the island with the most models (the first of equals).
    """

    island: Indices
    finite: NDArray[np.bool_]
    largest: int


def connectivity(a: Indices, b: Indices, scores: NDArray[np.float64], models: int) -> Connectivity:
    """Of comparisons between model numbers a, b [N] with a's score [N] in 0..1, over `models` models."""
    won, lost = scores > 0, scores < 1
    beaten = np.concatenate([b[won], a[lost]])
    points = np.concatenate([a[won], b[lost]])
    took = np.zeros((models, models), dtype=np.bool_)
    took[points, beaten] = True
    graph = csr_array(took)
    islands, island = connected_components(graph, directed=True, connection="weak")
    _, strong = connected_components(graph, directed=True, connection="strong")
    finite = np.array([len(np.unique(strong[island == number])) == 1 for number in range(islands)])
    return Connectivity(island.astype(np.int64), finite, int(np.bincount(island, minlength=1).argmax()))

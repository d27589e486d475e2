"""How strongly PPO is held to its reference: the coefficient c of the KL penalty over time.

    c <- c (1 + clip(KL / target - 1; -0.2, 0.2) N / horizon)

after each batch of N episodes, with KL the batch mean of the sum over tokens of l - r, in nats (Ziegler et al. 2019,
section 2.2). A controller is a value: `updated` gives the next, so it is saved and resumed like any number.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class FixedKL:
    """A coefficient that stays (TRL's later PPO: 0.05)."""

    coefficient: float = 0.05

    def updated(self, kl: float, episodes: int) -> "FixedKL":
        """The same coefficient, whatever was observed."""
        return self


@dataclass(frozen=True)
class AdaptiveKL:
    """A coefficient that rises while the KL is above its target (nats) and falls while it is below.

    `horizon` is in episodes: at most a fifth is added per horizon. Raises ValueError unless all three are above 0.
    """

    coefficient: float = 0.15
    target: float = 6.0
    horizon: float = 10_000.0

    def __post_init__(self) -> None:
        if not min(self.coefficient, self.target, self.horizon) > 0:
            raise ValueError(
                "coefficient, target and horizon are above 0, "
                f"they are {self.coefficient}, {self.target}, {self.horizon}"
            )

    def updated(self, kl: float, episodes: int) -> "AdaptiveKL":
        """The controller after a batch of `episodes` with mean `kl` nats. A negative KL lowers the coefficient."""
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        return replace(self, coefficient=self.coefficient * (1 + error * episodes / self.horizon))

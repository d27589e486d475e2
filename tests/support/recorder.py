"""A trainer's reporter that remembers what it was told, and asks for a stop after so many steps."""


class Recorder:
    def __init__(self, stop_after: int | None = None) -> None:
        self.steps: list[dict[str, float]] = []
        self.total = 0
        self.lines: list[str] = []
        self.stages: list[str] = []
        self.stop_after = stop_after

    def step(self, step: int, total: int, metrics: dict[str, float]) -> None:
        self.steps.append({"step": step, **metrics})
        self.total = total

    def stage(self, stage: str, step: int = 0, total: int = 0) -> None:
        if self.stages[-1:] != [stage]:
            self.stages.append(stage)

    def log(self, line: str) -> None:
        self.lines.append(line)

    def should_stop(self) -> bool:
        return self.stop_after is not None and len(self.steps) + 1 >= self.stop_after

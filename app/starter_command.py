"""`prefloop starter`: train the embedded model or its judge, and measure them. The work is in `trainer/starter`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

starter = typer.Typer(no_args_is_help=True, help="The embedded starter model.")


@starter.command("build")
def starter_build(
    out: Annotated[Path, typer.Option(help="Folder for the weights; the build's state is kept beside it.")],
    tokens: Annotated[int, typer.Option(min=1, help="How many tokens to train on, in all.")] = 28_000_000,
    seed: Annotated[int, typer.Option(help="Seed of everything.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads; two are 1.6 times as fast as one.")] = 1,
    judge: Annotated[bool, typer.Option("--judge", help="Train the judge, from the chat model.")] = False,
    start: Annotated[Path | None, typer.Option(help="Folder to start from: none, for the judge the starter.")] = None,
    peak: Annotated[float | None, typer.Option(min=1e-4, max=1, help="Factor on all rates, if not the usual.")] = None,
) -> None:
    """Train the starter model, or its judge, from the grammar; ended early, the same call goes on where it was."""
    from trainer.starter import WEIGHTS
    from trainer.starter.build import build, chat_recipe, judge_recipe

    recipe, begin = (judge_recipe(), start or WEIGHTS) if judge else (chat_recipe(further=start is not None), start)
    recipe = recipe if peak is None else replace(recipe, peak=peak)
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        state = out.parent / f"{out.name}.state.pt"
        build(out, tokens=tokens, seed=seed, recipe=recipe, start=begin, state=state, threads=threads)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@starter.command("evaluate")
def starter_evaluate(
    model: Annotated[Path | None, typer.Option(help="Folder of the weights; default: the embedded ones.")] = None,
    judge: Annotated[Path | None, typer.Option(help="Folder of the judge; default: the embedded one.")] = None,
    n: Annotated[int, typer.Option(min=1, help="Completions per line, where that many questions are held out.")] = 500,
    seed: Annotated[int, typer.Option(help="Seed of the questions and of the samples.")] = 0,
    card: Annotated[bool, typer.Option("--card", help="Write the figures into the folders' model cards.")] = False,
) -> None:
    """Measure the starter model and its judge on held-out questions; each line with its n and its bar."""
    from trainer.starter import JUDGE_WEIGHTS, WEIGHTS
    from trainer.starter.card import write_card
    from trainer.starter.evaluate import evaluate as measure
    from trainer.starter.figures import format_figures

    judged = judge or (JUDGE_WEIGHTS if JUDGE_WEIGHTS.exists() else None)
    figures = measure(model or WEIGHTS, judged, n=n, seed=seed)
    print(format_figures(figures))
    if card:
        write_card(model or WEIGHTS, figures, judge=False)
    if card and judged is not None:
        write_card(judged, figures, judge=True)
    if judged is None:
        print(f"no judge was measured: {JUDGE_WEIGHTS} does not exist; train one with prefloop starter build --judge")

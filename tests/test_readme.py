"""The README's table of the path of one preference names functions that exist; its settings are the real ones."""

import ast
import re
from pathlib import Path

from app.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_path_of_one_preference_names_existing_functions() -> None:
    named = re.findall(r"`([\w/]+\.py):(\w+)`", README)
    assert len(named) >= 15
    missing = [f"{path}:{name}" for path, name in named if name not in functions_of(ROOT / path)]
    assert missing == []


def test_every_setting_is_in_the_readme() -> None:
    told = set(re.findall(r"`PREFLOOP_(\w+)`|, `PREFLOOP_(\w+)`", README))
    names = {name.lower() for pair in told for name in pair if name}
    seldom = {"database_url", "comparisons_ahead", "max_new_tokens", "loaded_checkpoints"}
    assert names == set(Settings.model_fields) - seldom


def test_every_command_is_in_the_readme() -> None:
    from app.cli import cli

    names = {command.name or command.callback.__name__.rstrip("_") for command in cli.registered_commands}  # type: ignore[union-attr]
    assert [name for name in sorted(names) if f"prefloop {name}" not in README] == []

"""Form fields of an algorithm's settings, drawn from its config model, and the values a person typed into them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.base_config import InvalidConfig
from trainer.configs import ALGORITHMS, json_schema, parse_config

MAIN = (
    "beta",
    "reward",
    "rewards",
    "kl",
    "group_size",
    "sampling",
    "learning_rate",
    "epochs",
    "start_from",
    "preferences",
)
BOUNDS = (("exclusiveMinimum", "above"), ("minimum", "from"), ("exclusiveMaximum", "below"), ("maximum", "to"))


@dataclass(frozen=True)
class Field:
    """One setting; `value` is what the form shows before anything is typed, `problem` what was wrong with that."""

    name: str
    description: str
    value: str
    options: tuple[str, ...]
    numeric: bool
    bounds: str
    problem: str

    @property
    def label(self) -> str:
        words = self.name.replace("_", " ")
        named = {"beta": "β (beta)", "kl": "KL weight", "preferences": "Learn from"}
        return named.get(self.name, words[:1].upper() + words[1:])


def fields(algorithm: str, values: Mapping[str, Any], problems: Mapping[str, str]) -> tuple[list[Field], list[Field]]:
    """(those that people change most, the others), with `values` over the defaults."""
    properties = json_schema(algorithm)["properties"]
    made = {
        name: _field(name, schema, values.get(name, schema.get("default")), problems.get(name, ""))
        for name, schema in properties.items()
    }
    main = [made[name] for name in MAIN if name in made]
    return main, [field for name, field in made.items() if name not in MAIN]


def about(algorithm: str) -> str:
    """The algorithm's sentence."""
    return (ALGORITHMS[algorithm].__doc__ or "").strip().splitlines()[0]


def typed(algorithm: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The settings a person typed, where they are not the defaults; checked by app/runs.py, not here."""
    properties = json_schema(algorithm)["properties"]
    given = {name: str(payload[name]).strip() for name in properties if str(payload.get(name, "")).strip()}
    return {name: text for name, text in given.items() if text != _text(properties[name].get("default"))}


def problems(algorithm: str, values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with these settings, by field; one that is wrong as a whole stands under ''."""
    try:
        parse_config(algorithm, values)
    except InvalidConfig as error:
        told = (sentence.partition(": ") for sentence in error.problems)
        return {name: f"{problem.partition(' (')[0]}." for name, _, problem in told}
    return {}


def _field(name: str, schema: dict[str, Any], value: Any, problem: str) -> Field:
    kinds = {one.get("type") for one in (schema, *schema.get("anyOf", ()))}
    options = tuple(schema.get("enum", ())) or ((schema["const"],) if "const" in schema else ())
    told = [f"{word} {_text(schema[key])}" for key, word in BOUNDS if key in schema]
    return Field(
        name=name,
        description=schema.get("description", ""),
        value=_text(value),
        options=tuple(_text(o) for o in options),
        numeric=bool(kinds & {"number", "integer"}),
        bounds=f"({' '.join(told)})" if told else "",
        problem=problem,
    )


def _text(value: Any) -> str:
    """As it stands in a form: nothing for nothing, lists with commas, objects and lists of them as JSON."""
    if value is None:
        return ""
    if isinstance(value, dict) or (isinstance(value, list | tuple) and any(isinstance(one, dict) for one in value)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)

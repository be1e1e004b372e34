"""What is wrong with a file that a person wrote, in our words: where, what was expected, what to write.

Every file that is read into a model of pydantic speaks through here, so that a kind of mistake has one
wording, and none is a library's. No fault shows the value that stands there: it may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, ModelWrapValidatorHandler, model_validator
from pydantic import ValidationError as Invalid

from .cloudevents import OWNER_PATTERN
from .problem import few_of, near_hint

Place = tuple[str | int, ...]
Fault = tuple[Place, str]
"""(place in the file, problem)."""

Model = TypeVar("Model", bound=BaseModel)
_EXPECTED = "expected "
_KEYS = "keys with their values, {{key: value, …}}"
_LIST = "a list ([one, another])"
_WHOLE = "a whole number (without quotes)"
_NUMBER = "a number (without quotes)"

WORDS: Mapping[str, str] = {
    "string_type": "text (in quotes where it looks like something else)",
    "path_type": "the path of a file",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "a number that is not infinite",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": _KEYS,
    "model_type": _KEYS,
    "model_attributes_type": _KEYS,
    "too_short": "{min_length} or more entries",
    "too_long": "{max_length} or fewer entries",
    "string_too_short": "{min_length} or more characters",
    "string_too_long": "{max_length} or fewer characters",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "string_pattern_mismatch": "text of the form {pattern}",
}
"""What was expected, by pydantic's kind of error, with what its model says about it."""


def matching(pattern: str, expected: str) -> AfterValidator:
    """The form that a text must have in whole, and how to say so: a pattern explains itself to nobody."""
    form = re.compile(pattern)

    def check(text: str) -> str:
        if form.fullmatch(text) is None:
            raise ValueError(_EXPECTED + expected)
        return text

    return AfterValidator(check)


ShortName = Annotated[
    str, matching(OWNER_PATTERN, "lower case letters, digits and hyphens, a letter first: council-leeds")
]
"""Of an organisation (docs/DESIGN.md, 1)."""


class Written(BaseModel):
    """Keys as a person writes them: none that is not known, and what they say against each other is found
    beside what is wrong with each, because one round should be enough.
    """

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def between(cls, written: Mapping[str, object]) -> Iterator[str]:
        """What keys say against each other, before it is known whether the value of any has its form."""
        yield from ()

    @model_validator(mode="wrap")
    @classmethod
    def _with_between(cls, written: Any, handler: ModelWrapValidatorHandler[Written]) -> Written:
        found = [*cls.between(written)] if isinstance(written, dict) else []
        try:
            made = handler(written)
        except Invalid as invalid:
            if not found:
                raise
            faults = [_again(each) for each in invalid.errors()]
        else:
            if not found:
                return made
            faults = []
        said: list[Any] = [
            {"type": "value_error", "loc": (), "input": None, "ctx": {"error": ValueError(problem)}}
            for problem in found
        ]
        raise Invalid.from_exception_data(cls.__name__, [*faults, *said])


def _again(error: Mapping[str, Any]) -> Any:
    """An error as it is given to pydantic again."""
    return {"type": error["type"], "loc": error["loc"], "input": error["input"], "ctx": error.get("ctx", {})}


def read_into(model: type[Model], written: object) -> tuple[Model | None, list[Fault]]:
    """The model, or every fault at its place."""
    try:
        return model.model_validate(written), []
    except Invalid as invalid:
        return None, faults_of(invalid, written, model)


def faults_of(invalid: Invalid, written: object, model: type[BaseModel]) -> list[Fault]:
    """Every fault once, at its place; of a value that could have been one of several things, all of them."""
    expected: dict[Place, list[str]] = {}
    others: list[Fault] = []
    for error in invalid.errors(include_url=False):
        place, value = _found(error, written)
        words = _words(error, place, value, model)
        if error["type"] in WORDS:
            expected.setdefault(place, []).append(words)
        else:
            others.append((place, words))
    joined = [(place, _EXPECTED + _or(dict.fromkeys(each))) for place, each in expected.items()]
    return list(dict.fromkeys([*joined, *others]))


def without_faulty(written: object, faults: list[Fault]) -> object:
    """What remains when each entry with a fault is taken out whole (`clients.a`), so that the others can be
    judged in the same round.
    """
    if not isinstance(written, dict):
        return written
    faulty = {place[:2] for place, _ in faults}
    return {
        top: {name: each for name, each in below.items() if (top, name) not in faulty}
        if isinstance(below, dict)
        else below
        for top, below in written.items()
        if (top,) not in faulty
    }


def _found(error: Mapping[str, Any], written: object) -> tuple[Place, object]:
    """Where it stands, and what: pydantic also names branches of unions, which nobody has written."""
    steps: list[str | int] = []
    here: Any = written
    for behind, step in enumerate(error["loc"], start=1):
        if _leads_on(here, step):
            here = here[step]
            steps.append(step)
        elif error["type"] == "missing" and behind == len(error["loc"]):
            steps.append(step)
    return tuple(steps), here


def _leads_on(here: object, step: str | int) -> bool:
    if isinstance(here, dict):
        return step in here
    return isinstance(here, list) and isinstance(step, int) and step < len(here)


def _words(error: Mapping[str, Any], place: Place, value: object, model: type[BaseModel]) -> str:
    kind, said = error["type"], error.get("ctx", {})
    if kind in WORDS:
        return WORDS[kind].format_map(said)
    match kind:
        case "missing":
            return f"is missing{_example(place, model)}"
        case "extra_forbidden":
            known = [key for form in _forms(place[:-1], model) for key in _keys(form)]
            return f"there is no such key{near_hint(place[-1], known) or few_of(known)}"
        case "literal_error" | "enum":
            known = re.findall(r"'([^']*)'", said["expected"])
            return f"{_EXPECTED}{said['expected'].replace(chr(39), '')}{near_hint(value, known)}"
        case "value_error":
            return str(said["error"])
    return f"does not fit ({kind.replace('_', ' ')})"


def _or(words: Mapping[str, None]) -> str:
    if len(words) == 1:
        return next(iter(words))
    *first, last = [each.partition(" (")[0] for each in words]
    return f"{', '.join(first)} or {last}"


def _example(place: Place, model: type[BaseModel]) -> str:
    """How a missing key is written, where its model says so."""
    for form in _forms(place[:-1], model):
        examples = next((each.examples for key, each in _keys(form).items() if key == place[-1]), None)
        if examples:
            return f"; write it as `{place[-1]}: {examples[0]}`"
    return ""


def _keys(form: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field for name, field in form.model_fields.items()}


def _forms(place: Place, model: type[BaseModel]) -> list[type[BaseModel]]:
    """The models whose keys can stand at a place; a step that no model knows is an entry of a list or map."""
    forms = [model]
    for step in place:
        fields = [field for form in forms for key, field in _keys(form).items() if key == step]
        if fields:
            forms = [form for field in fields for form in _models_in(field.annotation)]
    return forms


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)

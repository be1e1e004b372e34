"""A contract as a file of its own among the catalogues, and what the gate finds wrong with it."""

from pathlib import Path

import pytest

from schemas import (
    ContractProblems,
    Reason,
    load_contracts,
)
from schemas.contract import Contract
from tests.contracts_kit import field, optional, write

PATH = "civil/name.v2.avsc"
TEXT_OR_NULL = optional("string")
OTHER = field("other", "string", {"identifier": "nhs", "role": "other"})
STATE = {"type": "enum", "name": "S", "symbols": ["GRANTED", "WITHDRAWN"]}
CONSENT = (
    field("subscriber", "string", {"term": "subscriber"}),
    field("purpose", "string", {"term": "purpose"}),
    field("categories", {"type": "array", "items": "string"}, {"term": "categories"}, default=[]),
    field("state", STATE, {"term": "state"}),
)


def load(tmp_path: Path, schema: dict, path: str = PATH) -> Contract:
    return next(iter(load_contracts(write(tmp_path, {path: schema})).by_type.values()))


def faults(tmp_path: Path, schema: dict, path: str = PATH) -> set[tuple[str, Reason]]:
    with pytest.raises(ContractProblems) as caught:
        load_contracts(write(tmp_path, {path: schema}))
    assert {problem.file for problem in caught.value.problems} == {path}
    assert all(problem.why and problem.mend in str(problem) for problem in caught.value.problems)
    return {(problem.field, problem.reason) for problem in caught.value.problems}

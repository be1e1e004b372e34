"""Yesterday's bytes decode for ever: what stages say and keep was written by older code, too.

`messages.json` holds encoded bytes (hex) of every message and state. Nothing in it is ever changed; a new
field appends a new line. `python tests/golden/test_messages.py` writes what is missing.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from processors.citizen_state import Handover, RecordState, Sent
from processors.fragment import Held, IdentityState, OwnPair, Packed
from processors.golden import PersonFragment
from processors.messages import (
    Acknowledged,
    Assertion,
    Cause,
    Claims,
    Consent,
    Delivered,
    Departed,
    Enrolment,
    Entry,
    Fragment,
    Objection,
    Owed,
    PairStatement,
    Released,
    Restriction,
    Said,
    Told,
    encode,
    pack_entries,
)
from processors.node import Answer, Node, Page, Spread
from processors.obligations import Obligation

FILE = Path(__file__).with_name("messages.json")

CAUSE = Cause("urn:gov:dwp:main", "e1", 1_000, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
PAIR = PairStatement(5, "urn:gov:dwp:main", "e1", "same-person")
CONSENT = Consent(5, "s", "e2", "council-leeds", "housing", ("contact",), "GRANTED", 6, 7)
OBJECTION = Objection(5, "s", "e3", "*", "housing", "OBJECTED")
RESTRICTION = Restriction(5, "s", "e4", "police", "RESTRICTED")
ENROLMENT = Enrolment(5, "s", "e5", "council-leeds", "leeds-care", "ENROLLED")
ASSERTION = Assertion(1, 2, "s", "e6", 9, 99, b'"x"', content=b"0123456789abcdef")
ASSERTION_WITH_FORM = [
    1,
    2,
    "s",
    "e6",
    9,
    99,
    b'"x"',
    "uk.gov.civil.name.v1",
    b'{"name":"x"}',
]  # docs/adr/0008
ENTRY = Entry(1, 2, "s", "e6", 9, 99, b'"x"')
SAID = Said(
    "nino:AB123456C", "dwp", "uk.gov.civil.name.v1", 2, CAUSE, 99, 1, 9, "item", (("name", b'"x"'),),
    b'{"name":"x"}', "e0", (("same-person", "nhs:9912003888"),), CONSENT, OBJECTION, RESTRICTION, ENROLMENT,
)  # fmt: skip
REGISTER = pack_entries((ENTRY,))
MEMBERS = ("nhs:9912003888", "nino:AB123456C")
FRAGMENT = PersonFragment(MEMBERS[0], 1, MEMBERS, (), True, {"name\0dwp\0": REGISTER}, (CONSENT,))
TOLD = Told(
    MEMBERS[0], 3, "p-1", MEMBERS, (MEMBERS[0],), True, ("nino:C",), (("nino:C", "unlinked"),), True, CAUSE
)
REGISTERS = {"name\0dwp\0": Packed(99, msgspec.Raw(encode((ASSERTION_WITH_FORM,))))}
OWED = Owed("o-1", "council-leeds", "a", "s-1", ("name",), 1, 2)
SENT = Sent("s-1", 1, "council-leeds", {"name": b'"x"'}, {"name": MEMBERS})
DELIVERED = Delivered("s-1", "council-leeds", 4, {"name": MEMBERS})
EXAMPLES = {
    "said": SAID,
    "said-with-content": msgspec.structs.replace(SAID, form=b"", content=b"0123456789abcdef"),
    "assertion": ASSERTION,
    "told": TOLD,
    "claims": Claims(MEMBERS[0], 3, {MEMBERS[1]: (PAIR,)}, True, CAUSE),
    "fragment": Fragment(
        "p-1", MEMBERS[0], 1, True, MEMBERS, (), True, CAUSE, {"name\0dwp\0": REGISTER}, (CONSENT,),
        (OBJECTION,), (ENROLMENT,), True,
    ),
    "departed": Departed("p-1", MEMBERS[0], 2, "p-2", True, CAUSE),
    "released": Released("p-2", MEMBERS[0], 2, {"a": 4}, {"a": (DELIVERED,)}, CAUSE),
    "owed": OWED,
    "acknowledged": Acknowledged("o-1", "council-leeds", 3),
    "identity-state": IdentityState(
        MEMBERS[0], "p-1", MEMBERS, (), True, 1, True, 3, 2, REGISTERS, (("s", "e0"),),
        (CONSENT,), {"k": OBJECTION}, {"police": RESTRICTION}, {"k": ENROLMENT},
        {MEMBERS[1]: OwnPair((PAIR,), True)}, [Held(3, SAID)], {"s\0e9": 77},
    ),
    "node": Node(
        MEMBERS[0], {MEMBERS[1]: (PAIR,)}, {MEMBERS[1]: True}, True, True, 3,
        Answer("p-1", MEMBERS, (), True, ("nino:C",), (("nino:C", "hub"),)),
    ),
    "node-counted": Node(
        MEMBERS[0], {MEMBERS[1]: (PAIR,)}, {}, True, True, 3, Answer("p-1", MEMBERS, (), True, ("nino:C",)),
        True, {"utr:1": True}, {MEMBERS[1]: True}, 66, 2, 2, {"nino:C": True}, {"nino:C": "unlinked"},
        Spread(1, CAUSE),
    ),
    "page": Page({MEMBERS[1]: True, "utr:1": False}),
    "record-state": RecordState(
        "p-1", {MEMBERS[0]: FRAGMENT}, {"a": SENT},
        {"a\0s-1": 4}, {MEMBERS[0]: 1}, {"k": Handover("p-2", True, CAUSE, {"a": (DELIVERED,)})},
        {"a": (DELIVERED,)}, {"a": (DELIVERED,)}, {"a": {"s-0": 7}}, 99,
    ),
    "obligation": Obligation("o-1", OWED, {"x": 3}, True),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(json.loads(FILE.read_text())) if FILE.exists() else [])
def test_yesterdays_bytes_still_mean_the_same(name: str):
    """A worker of today reads the changelog and the topics that one of yesterday wrote."""
    example = EXAMPLES[name.partition("@")[0]]
    kept = msgspec.msgpack.decode(bytes.fromhex(json.loads(FILE.read_text())[name]), type=type(example))
    assert kept == example


def test_every_message_and_state_has_its_bytes():
    """A new one is not forgotten here."""
    assert {name.partition("@")[0] for name in json.loads(FILE.read_text())} == set(EXAMPLES)


if __name__ == "__main__":
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    written = {name: encode(example).hex() for name, example in EXAMPLES.items()}
    FILE.write_text(json.dumps(written | known, indent=1) + "\n")

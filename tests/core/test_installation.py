"""Whose secret it is: the record, the judgement, and what an installation without a record says (C8)."""

from __future__ import annotations

import pytest

from processors import Keys
from processors.fragment import IdentityState, encode_state
from processors.installation import (
    WITNESSES_MAX,
    Unreadable,
    Witness,
    ask_states,
    decode_record,
    encode_record,
    is_its_secret,
    record_of,
    shown_record,
)

OURS, OTHERS = Keys(b"the installation's"), Keys(b"another's")
SALT = bytes(range(16))
MEMBERS = ("nhs:9912003888", "nino:AB123456C")


def state(keys: Keys, members: tuple[str, ...] = MEMBERS, anchor: int = 1) -> bytes:
    return encode_state(IdentityState(members[0], keys.person_id(members[anchor]), members))


def test_the_secret_that_was_recorded_is_the_installations_and_no_other_is() -> None:
    """C8: what is read back judges as what was written did."""
    record = decode_record(encode_record(record_of(OURS, SALT)))
    assert is_its_secret(OURS, record)
    assert not is_its_secret(OTHERS, record)
    assert not is_its_secret(Keys(OURS.secret + b"\n"), record), "a line's end is another secret"


def test_two_secrets_whose_shown_fingerprints_are_the_same_are_still_told_apart() -> None:
    """C8: what is shown is short, what decides is not."""
    record = record_of(OURS, SALT)
    forged = type(record)(record.scheme, record.salt, record.short + record_of(OTHERS, SALT).fingerprint[8:])
    assert forged.short == record.short
    assert not is_its_secret(OURS, forged)


def test_a_record_holds_nothing_of_the_secret_or_of_a_key_made_with_it() -> None:
    """C8: it is published, so it is of no use for naming anybody."""
    text = encode_record(record_of(OURS, SALT))
    derived = [OURS.secret, OURS.identity, OURS.cause, OURS.commitment, OURS.derive("fingerprint")]
    assert not any(key in text or key.hex()[:8].encode() in text for key in derived)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"{}",
        b'{"scheme": 1}',
        encode_record(record_of(OURS, SALT)).replace(b"600000", b"1"),
        encode_record(record_of(OURS, SALT)).replace(SALT.hex().encode(), b"no hex"),
        encode_record(record_of(OURS, SALT)).replace(SALT.hex().encode(), b""),
        encode_record(record_of(OURS, SALT))[:-1] + b', "more": 1}',
    ],
)
def test_a_record_that_is_not_understood_is_no_record_to_judge_by(value: bytes) -> None:
    """C8: any doubt is a refusal, and what cannot be read is not shown either."""
    with pytest.raises(Unreadable):
        decode_record(value)
    assert shown_record(value) == "unreadable"


def test_where_nothing_is_recorded_the_states_say_by_whom_they_were_made() -> None:
    """I4: whichever member names the person, and also when it is alone."""
    for bodies in ([state(OURS)], [state(OURS, anchor=0)], [state(OURS, MEMBERS[:1], 0)]):
        assert ask_states(OURS, bodies) is Witness.FOR
        assert ask_states(OTHERS, bodies) is Witness.AGAINST
    assert ask_states(OTHERS, []) is Witness.NONE


def test_most_states_decide_and_neither_of_two_halves_does() -> None:
    """C8: a past incident does not lock the right secret out, and a draw lets nobody in."""
    assert ask_states(OURS, [state(OURS), state(OTHERS), state(OURS)]) is Witness.FOR
    assert ask_states(OTHERS, [state(OURS), state(OTHERS), state(OURS)]) is Witness.AGAINST
    assert ask_states(OURS, [state(OURS), state(OTHERS)]) is Witness.AGAINST


def test_so_many_states_are_asked_and_no_more() -> None:
    """An installation of millions starts as fast as one of a hundred."""
    asked = iter([state(OURS)] * WITNESSES_MAX + [b"never looked at"])
    assert ask_states(OURS, asked) is Witness.FOR
    assert next(asked) == b"never looked at"

"""Persons: who is one person with whom, who is told, and whom a protection reaches (I2-I5, C3)."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest

from processors.graph import anchor
from processors.messages import Cause, Claims
from processors.stage import Outcome, Record
from tests.persons_kit import KEYS, RULES, SOURCE, Graph, claims, linked, same

NINO, NHS, UTR, TAX = "nino:1", "nhs:1", "utr:1", "ctax:1"
PASSES = [f"passport:{n}" for n in range(9)]


def person(*members: str) -> str:
    """The name of a person of whom none is superseded (I4)."""
    return KEYS.person_id(anchor(members, frozenset(), RULES.contracts.schemes))


# Who is told what.


def test_both_ends_of_a_pair_are_told_their_person():
    """I2, I4: the other end too, which had said nothing; the person bears the anchor's name."""
    told = Graph().step(same(NHS, NINO))
    assert told.keys() == {NHS, NINO}
    assert {each.person for each in told.values()} == {KEYS.person_id(NINO)}
    assert {each.members for each in told.values()} == {(NHS, NINO)}
    assert (told[NHS].superseded, told[NHS].restricted, told[NHS].contested, told[NHS].disputes) == (
        (),
        False,
        (),
        (),
    )


@pytest.mark.parametrize("chain", list(permutations([same(NHS, NINO), same(NINO, UTR), same(UTR, TAX)])))
def test_a_chain_is_one_person_whatever_came_first_and_however_it_was_cut(chain: tuple[Claims, ...]):
    """I5: everybody ends with the same answer, in one step or in three."""
    everyone = tuple(sorted((NINO, NHS, UTR, TAX)))
    at_once, by_and_by = Graph(*chain), Graph()
    for each in chain:
        by_and_by.step(each)
    for graph in (at_once, by_and_by):
        assert {(t.person, t.members) for t in graph.told.values()} == {(person(*everyone), everyone)}
    assert at_once.told.keys() == by_and_by.told.keys() == set(everyone)


def test_whoever_asks_is_answered_even_when_nothing_changed():
    """I6: or what waits there would wait for ever; and nobody else is told again."""
    graph = Graph(same(NHS, NINO))
    told = graph.step(claims(NHS, 2, ("same-person", NINO, 1), ("link", NINO, 5)))
    assert told.keys() == {NHS}
    assert told[NHS].answered == 2


def test_nobody_is_told_the_same_twice():
    """§7: persons tells whose person, members, disputes or protection changed."""
    graph = Graph(same(NHS, NINO), same(UTR, TAX))
    told = graph.step(same(NINO, NHS))
    assert told.keys() == {NINO}
    assert graph.step(claims(NINO, 2, ("same-person", UTR, 1))).keys() == {NINO, NHS, UTR, TAX}


def test_an_answer_names_the_latest_question_and_none_goes_back():
    """I6: each identifier's own number; one that never asked has been answered nothing."""
    graph = Graph(claims(NHS, 7, ("same-person", NINO, 1)))
    assert (graph.told[NHS].answered, graph.told[NINO].answered) == (7, 0)
    assert graph.step(claims(NHS, 3))[NHS].answered == 7
    both = graph.step(claims(NHS, 8), claims(NHS, 9))
    assert both[NHS].answered == 9


def test_a_component_hears_the_last_event_that_touched_it_and_never_one_about_others():
    """V3, V5: who merely asked in the same step is no cause of what happens to somebody else."""
    told = Graph().step(same(NHS, NINO), same(UTR, NINO), claims(TAX, 4))
    assert {told[member].cause for member in (NHS, UTR, NINO)} == {Cause(SOURCE, f"{UTR}/1")}
    assert told[TAX].cause == Cause(SOURCE, f"{TAX}/4")


def test_parts_that_fall_apart_hear_the_unlink_and_not_a_later_question_of_another():
    """V5, I3: each part of what was one person is told why it is alone."""
    told = Graph(same(NHS, NINO)).step(claims(NHS, 2, ("", NINO, 0)), claims(TAX, 4))
    assert told[NHS].cause == told[NINO].cause == Cause(SOURCE, f"{NHS}/2")


def test_of_two_questions_in_a_batch_the_later_is_answered_and_names_the_cause():
    """I6, V3: one answer for both."""
    told = Graph().step(claims(NHS, 1, ("same-person", NINO, 1)), claims(UTR, 1), claims(NHS, 2))
    assert (told[NHS].answered, told[NHS].cause) == (2, Cause(SOURCE, f"{NHS}/2"))


def test_it_is_a_merge_for_whoever_keeps_all_its_fellows():
    """V2: the old record's key is handed on only when all of its person went along."""
    graph = Graph(same(NHS, NINO), same(UTR, TAX))
    assert all(told.merged for told in graph.told.values())
    joined = graph.step(claims(NINO, 1, ("same-person", UTR, 2)))
    assert all(told.merged for told in joined.values())
    apart = graph.step(claims(NHS, 2, ("", NINO, 0)))
    assert {identifier: told.merged for identifier, told in apart.items()} == dict.fromkeys(
        (NINO, NHS, UTR, TAX), False
    )


def test_only_nodes_that_changed_are_written():
    """§7: who asked, whose edge changed and who is told; the rest of the component is only read."""
    graph = Graph(same(NHS, NINO), same(NINO, UTR))
    graph.step(claims(NHS, 2))
    assert graph.written == {NHS}
    graph.step(claims(NHS, 3, ("same-person", NINO, 1)))
    assert graph.written == {NHS}
    graph.step(same(TAX, UTR))
    assert graph.written == {NHS, NINO, UTR, TAX}


def test_the_states_of_a_batch_are_loaded_at_once_and_a_tombstone_says_nothing():
    """§7: the partition is not read for deletions."""
    stage, nothing = Graph().stage, Record("postroom.pairs", 0, 0, 0, NHS.encode(), None)
    assert stage.keys([nothing]) == {NHS.encode()}
    assert stage.step({}.get, [nothing], (), 0).states == {}


# What takes a person apart (I2).


def test_taking_back_what_was_said_takes_the_person_apart():
    """R3, I2: what is annulled does not count; each has the name that it had before (I4)."""
    graph = Graph(same(NHS, NINO), same(UTR, NINO))
    told = graph.step(claims(NHS, 2, ("", NINO, 0)))
    assert told.keys() == {NHS, NINO, UTR}
    assert graph.persons() == {frozenset({NHS}), frozenset({NINO, UTR})}
    assert told[NHS].person == KEYS.person_id(NHS)


def test_a_claim_replaces_what_was_said_of_the_pairs_it_names_and_of_no_other():
    """§7: what an identifier says of one pair is whole, and says nothing of the rest."""
    graph = Graph(claims(NHS, 1, ("same-person", NINO, 1), ("same-person", UTR, 1)))
    graph.step(claims(NHS, 2, ("", UTR, 0)))
    assert graph.persons() == {frozenset({NHS, NINO}), frozenset({UTR})}
    graph.step(same(UTR, NHS))
    assert graph.persons() == {frozenset({NHS, NINO, UTR})}
    graph.step(claims(NHS, 3, ("same-person", UTR, 1)), claims(NHS, 4, ("", UTR, 0)))
    assert graph.persons() == {frozenset({NHS, NINO, UTR})}  # the other side still says so


@pytest.mark.parametrize("by", [(NHS, NINO), (NINO, NHS)])
def test_an_unlink_from_either_side_parts_them_and_both_must_tell_all(by: tuple[str, str]):
    """I2, §7: contested, which both who said something are told even when their person does not change."""
    graph = Graph(same(NHS, NINO), same(NINO, NHS), same(NHS, UTR), same(UTR, NINO))
    graph.step(claims(by[0], 2, ("unlink", by[1], 5)))
    assert graph.told[NHS].contested == (NINO,)
    assert graph.told[NINO].contested == (NHS,)
    assert graph.told[UTR].contested == ()
    assert not any({NHS, NINO} <= members for members in graph.persons())
    graph.step(claims(by[0], 3, ("unlink", by[1], 5), ("link", by[1], 6)))
    assert graph.persons() == {frozenset({NHS, NINO, UTR})}
    assert graph.told[NHS].contested == (NINO,)


def test_whoever_said_nothing_of_a_contested_pair_hears_of_it_when_it_does():
    """§7: it has nothing to tell before; a number that a thousand unlinked would keep a list of them."""
    graph = Graph(same(NHS, NINO))
    assert NINO not in graph.step(claims(NHS, 2, ("unlink", NINO, 5))) or not graph.told[NINO].contested
    assert graph.step(claims(NINO, 1, ("same-person", NHS, 2)))[NINO].contested == (NHS,)
    assert graph.step(claims(NINO, 2, ("", NHS, 0)))[NINO].contested == ()


# Disputes (I3).


def test_an_edge_that_is_skipped_is_told_to_both_sides_and_published_once():
    """I3: under the pair's name, by the smaller identifier, with the reason."""
    graph = Graph(same("nino:1", NHS), same("nino:2", NHS, 2))
    assert graph.persons() == {frozenset({NHS, "nino:1"}), frozenset({"nino:2"})}
    assert graph.disputed() == {(NHS, "nino:2", "exclusive-scheme")}
    assert graph.disputes == {"nhs:1|nino:2": (NHS, "nino:2", "exclusive-scheme")}
    assert graph.outcomes == [Outcome("postroom.pairs", "disputed", "exclusive-scheme")]
    assert graph.told["nino:1"].disputes == ()


def test_a_dispute_is_published_again_only_when_it_changes():
    """I3: and its name is deleted when it is settled."""
    graph = Graph(same("nino:1", NHS), same("nino:2", NHS, 2))
    graph.step(claims(NHS, 1), claims("nino:2", 2))
    assert (graph.disputes, graph.outcomes) == ({}, [])
    graph.step(claims("nino:1", 2, ("same-person", NHS, 1), ("unlink", "nino:2", 1)))
    assert graph.disputes == {"nhs:1|nino:2": (NHS, "nino:2", "unlinked")}
    graph.step(claims("nino:1", 3, ("", NHS, 0)))
    assert graph.disputes == {"nhs:1|nino:2": None}
    assert graph.outcomes == [Outcome("postroom.pairs", "settled", "unlinked")]
    assert graph.persons() == {frozenset({NHS, "nino:2"}), frozenset({"nino:1"})}


def test_a_superseded_identifier_is_told_to_the_whole_person():
    """I3, C8: no subscriber is given a number that was replaced."""
    graph = Graph(same("nino:1", "nino:2", kind="superseded-by"), same(NHS, "nino:1"))
    assert graph.persons() == {frozenset({NHS, "nino:1", "nino:2"})}
    assert {told.superseded for told in graph.told.values()} == {("nino:1",)}
    assert {told.person for told in graph.told.values()} == {KEYS.person_id("nino:2")}


def test_only_superseded_members_of_its_own_person_are_named():
    """I3: where the edge that says so is skipped, the other half knows nothing of it."""
    graph = Graph(
        claims("nino:1", 1, ("superseded-by", "nino:2", 5), ("unlink", NHS, 1)), same(NHS, "nino:2", 1)
    )
    assert graph.disputed() == {("nino:1", "nino:2", "unlinked")}
    assert graph.told["nino:1"].superseded == ("nino:1",)
    assert graph.told[NHS].superseded == ()


@pytest.mark.parametrize("limit", [2, 3])
def test_a_person_has_no_more_identifiers_than_the_limit(limit: int):
    """I3: the last edge is skipped."""
    graph = Graph(*(same(each, NHS, time) for time, each in enumerate(PASSES[:3])), person_identifiers=limit)
    assert max(map(len, graph.persons())) == limit
    assert {reason for *_, reason in graph.disputed()} == {"oversized"}


# Hubs and overgrown components (I3); here a hub has more than two edges that are not explicit.


def test_an_identifier_of_too_many_edges_is_a_hub_and_joins_nobody():
    """I3: all its edges that are not explicit are cut, the first ones too."""
    graph = Graph(*(same(each, TAX) for each in PASSES[:2]), hub_edges=2)
    assert len(graph.persons()) == 1
    told = graph.step(same(PASSES[2], TAX))
    assert told.keys() == {TAX, *PASSES[:3]}
    assert graph.persons() == {frozenset({each}) for each in told}
    assert graph.disputed() == {(TAX, each, "hub") for each in PASSES[:3]}
    assert graph.node(TAX).hub


def test_a_hub_that_loses_an_edge_joins_again():
    """I3, I5: a function of the set; whoever hung at it is told."""
    graph = Graph(*(same(each, TAX) for each in PASSES[:3]), hub_edges=2)
    told = graph.step(claims(PASSES[0], 2, ("", TAX, 0)))
    assert told.keys() == {TAX, *PASSES[:3]}
    assert graph.persons() == {frozenset({TAX, *PASSES[1:3]}), frozenset({PASSES[0]})}
    assert graph.disputed() == set()
    assert not graph.node(TAX).hub


def test_explicit_edges_make_no_hub_and_are_not_cut_by_one():
    """I3: a person linked them one by one."""
    explicit = [linked(each, TAX) for each in PASSES[3:6]]
    implicit = [same(each, TAX) for each in PASSES[:3]]
    assert Graph(*explicit, *implicit[:2], hub_edges=2).disputed() == set()
    graph = Graph(*explicit, *implicit, hub_edges=2)
    assert graph.persons() == {frozenset({TAX, *PASSES[3:6]}), *(frozenset({each}) for each in PASSES[:3])}


def test_what_lies_behind_a_hub_is_told_that_it_no_longer_belongs_there():
    """I3: two edges away, and unspoken of in the batch that made the hub."""
    graph = Graph(same(PASSES[0], TAX), same(NHS, PASSES[0]), same(PASSES[1], TAX), hub_edges=2)
    assert graph.persons() == {frozenset({NHS, TAX, *PASSES[:2]})}
    told = graph.step(same(PASSES[2], TAX))
    assert told[NHS].members == tuple(sorted((NHS, PASSES[0])))


def test_a_component_of_too_many_edges_keeps_only_the_explicit_ones():
    """I3: they form components of their own; each is told once."""
    chain = [same(one, other) for one, other in pairwise(PASSES[:4])]
    graph = Graph(*chain, component_edges=3)
    assert graph.persons() == {frozenset(PASSES[:4])}
    graph.step(linked(PASSES[3], PASSES[4]))
    assert graph.persons() == {*(frozenset({each}) for each in PASSES[:3]), frozenset(PASSES[3:5])}
    assert {reason for *_, reason in graph.disputed()} == {"overgrown"}
    assert len(graph.disputed()) == 3
    graph.step(claims(PASSES[3], 2, ("", PASSES[4], 0)))
    assert graph.persons() == {frozenset(PASSES[:4]), frozenset({PASSES[4]})}
    assert graph.disputed() == set()


def test_what_a_hub_cuts_does_not_make_a_component_overgrown():
    """I3: the edges left count, after the first step."""
    graph = Graph(*(same(each, TAX) for each in PASSES[:3]), hub_edges=2, component_edges=1)
    graph.step(same(PASSES[4], PASSES[5]))
    assert {reason for *_, reason in graph.disputed()} == {"hub"}
    assert frozenset(PASSES[4:6]) in graph.persons()


# Protection (C3).


def protecting(identifier: str, asked: int = 9, on: bool = True) -> Claims:
    """An owner's word that the person of this identifier is protected, or no longer."""
    return claims(identifier, asked, restricted=on)


def test_protection_reaches_every_identifier_of_the_component_and_ends_everywhere():
    """C3: all are told, at once."""
    graph = Graph(same(NHS, NINO), same(NINO, UTR), same(TAX, PASSES[0]))
    assert graph.step(protecting(NHS)).keys() == {NHS, NINO, UTR}
    assert graph.protected() == {NHS, NINO, UTR}
    assert graph.step(protecting(NHS, 10, on=False)).keys() == {NHS, NINO, UTR}
    assert graph.protected() == set()


def test_protection_of_one_ends_only_when_it_is_the_last():
    """C3: if any owner says so of any identifier."""
    graph = Graph(same(NHS, NINO), protecting(NHS), protecting(NINO))
    graph.step(protecting(NHS, 10, on=False))
    assert graph.protected() == {NHS, NINO}


def test_whoever_joins_the_protected_is_protected():
    """C3: in whatever order the statement and the link come."""
    for order in permutations((protecting(NHS), same(UTR, NHS))):
        graph = Graph()
        for each in order:
            graph.step(each)
        assert graph.protected() == {NHS, UTR}


def test_protection_reaches_across_an_edge_that_was_skipped():
    """C3: in the component, skipped edges included, however far; both persons are protected."""
    for protected in ("nino:1", "nino:2"):
        graph = Graph(same("nino:1", NHS), same("nino:2", NHS, 2), same("nino:2", TAX))
        graph.step(protecting(protected))
        assert len(graph.persons()) == 2
        assert graph.protected() == {"nino:1", "nino:2", NHS, TAX}


@pytest.mark.parametrize("limits", [{"hub_edges": 2}, {"component_edges": 2}], ids=["hub", "overgrown"])
@pytest.mark.parametrize("protected", [TAX, PASSES[0]], ids=["the middle", "the end"])
def test_protection_reaches_across_an_edge_that_was_cut(limits: dict[str, int], protected: str):
    """C3: to the person of the other end, from either end, and told when it begins and ends."""
    graph = Graph(*(same(each, TAX) for each in PASSES[:3]), linked(PASSES[0], NHS), **limits)
    assert frozenset({PASSES[0], NHS}) in graph.persons()
    reached = {TAX: {TAX, NHS, *PASSES[:3]}, PASSES[0]: {TAX, NHS, PASSES[0]}}[protected]
    graph.step(protecting(protected))
    assert graph.protected() == reached
    graph.step(protecting(protected, 10, on=False))
    assert graph.protected() == set()


def test_protection_does_not_reach_two_persons_away():
    """C3: at the other end of a cut edge, not behind it: a hub would protect a town."""
    graph = Graph(*(same(each, TAX) for each in PASSES[:3]), linked(PASSES[0], NHS), hub_edges=2)
    graph.step(protecting(NHS))
    assert graph.protected() == {NHS, PASSES[0]}


def test_an_unlink_ends_what_hung_on_the_link():
    """C3, I2: an unlinked pair is no edge, neither skipped nor cut."""
    graph = Graph(same(NHS, NINO), protecting(NHS))
    graph.step(claims(NINO, 2, ("unlink", NHS, 5)))
    assert graph.protected() == {NHS}


def test_a_claim_that_leaves_protection_as_it_is_looks_only_at_what_it_names():
    """§7: the hundred edges of a protected hub are not walked again for each claim."""
    graph = Graph(*(same(each, TAX) for each in PASSES[:3]), protecting(TAX), hub_edges=2)
    assert graph.step(protecting(TAX, 10)).keys() == {TAX}

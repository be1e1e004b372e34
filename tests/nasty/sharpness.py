"""Is the generator nasty enough? Break the model rule by rule and see that some seed notices.

`python -m tests.nasty.sharpness 400` prints, for each broken rule, the first seed that notices it, or NEVER.
"""
# ruff: noqa: E501 - one broken rule a line is a table

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

MUTANTS: tuple[tuple[str, str, str, str], ...] = (  # rule, file, as it is, broken
    ("§1 an end is the next day's start", "times.py", "start_of(last + timedelta(days=1))", "start_of(last)"),
    ("§1 days are London's", "times.py", 'ZoneInfo("Europe/London")', "UTC"),
    ("E7 five minutes inclusive", "intake.py", "time_ms > at_ms + times", "time_ms >= at_ms + times"),
    ("E7 mismatch before identifier", "plain.py", "if set(value) - {", "if set() - {"),
    ("I1 separators", "identifiers.py", '" -./"', '" -."'),
    ("I1 canonical", "identifiers.py", "self.canonical(scheme, value) != text", "not self.canonical(scheme, value)"),
    ("I2 equal times unlinked", "identity.py", "said.time_ms > max(unlinks)]", "said.time_ms >= max(unlinks)]"),
    ("I2 only link undoes", "identity.py", 'if said.says == "link" and said.time_ms', "if said.time_ms"),
    ("I2 those that count", "identity.py", "if said.time_ms >= min(later_links)", "if True"),
    ("I2 annulled", "identity.py", "event.subject) in annulled:", "event.subject) in set():"),
    ("I3 hub's limit", "identity.py", "if len(of_one) > limit", "if len(of_one) > limit + 1"),
    ("I3 hub spares explicit", "identity.py", "        if not edge.explicit:\n", "        if True:\n"),
    ("I3 overgrown's limit", "identity.py", "if len(within) > limits.overgrown", "if len(within) >= limits.overgrown"),
    ("I3 explicit first", "identity.py", "(not self.explicit, first", "(False, first"),
    ("I3 order by time", "identity.py", "first.time_ms, first.source, first.id, self", "0, first.source, first.id, self"),
    ("I3 unlinked", "identity.py", "if any((one, other) in unlinked for", "if any((one, other) in set() for"),
    ("I3 superseded does not count", "identity.py", "if one not in superseded and", "if"),
    ("I3 circle", "identity.py", "if said.subject in _led_to(said.other, successors):", "if False:"),
    ("I3 circle of three", "identity.py", "in _led_to(said.other, successors)", "in successors.get(said.other, ())"),
    ("I3 person's limit", "identity.py", "len(both) > size", "len(both) >= size"),
    ("I4 superseded last", "identity.py", "schemes.place(one), one in superseded, one", "schemes.place(one), one"),
    ("I4 scheme first", "identity.py", "schemes.place(one), one in superseded, one", "one in superseded, schemes.place(one), one"),
    ("R1 effective", "record.py", "event.time_ms if effective is None else", "event.time_ms if True else"),
    ("R2 greater content", "record.py", "(each.content, each.asserted_ms)", "(each.asserted_ms, each.content)"),
    ("R3 same source", "record.py", "(assertion.source, assertion.id, assertion.identifier) in annulled", "any((assertion.id, assertion.identifier) == a[1:] for a in annulled)"),
    ("R3 same subject", "record.py", "(assertion.source, assertion.id, assertion.identifier) in annulled", "any((assertion.source, assertion.id) == a[:2] for a in annulled)"),
    ("R3 corrections", "record.py", 'in ("annulment", "fact") and', 'in ("annulment",) and'),
    ("R4 effective at T", "record.py", "[assertion for assertion in register if assertion.effective_ms <= at_ms]", "[assertion for assertion in register if assertion.effective_ms < at_ms]"),
    ("R4 ended at T", "record.py", "None if greatest.until_ms <= at_ms", "None if greatest.until_ms < at_ms"),
    ("R4 no falling back", "record.py", "assertion.effective_ms <= at_ms]\n    note_if", "assertion.effective_ms <= at_ms < assertion.until_ms]\n    note_if"),
    ("R4 by asserted", "record.py", "return (self.effective_ms, self.asserted_ms,", "return (self.effective_ms, 0,"),
    ("R5 trust", "record.py", "key=lambda each: (-_distrust(each, trust), each.rank)", "key=lambda each: each.rank"),
    ("R5 identifier", "record.py", "self.source, self.id, self.identifier)", "self.source, self.id)"),
    ("R7 expires at T", "record.py", "if assertion.expires_ms <= at_ms", "if assertion.expires_ms < at_ms"),
    ("R7 leap day", "times.py", "min(moment.day, monthrange(year, month)[1])", "min(moment.day, 28)"),
    ("C1 special category", "sharing.py", "return not (consent", "return True or not (consent"),
    ("C1 empty withdraws special", "sharing.py", 'consent.term("state") == "GRANTED" and attribute.special', "attribute.special"),
    ("C1 equal times", "sharing.py", "if early_ms <= 0:", "if early_ms < 0:"),
    ("C1 five minutes", "sharing.py", "early_ms <= times.FIVE_MINUTES_MS:\n            note(", "early_ms < times.FIVE_MINUTES_MS:\n            note("),
    ("C1 another source", "sharing.py", "if stop.source != grant.source and early_ms", "if early_ms"),
    ("C1 source, not owner", "sharing.py", "if stop.source != grant.source", "if stop.owner != grant.owner"),
    ("C1 begins at T", "sharing.py", "if any(begins <= at_ms < ends", "if any(begins < at_ms < ends"),
    ("C1 ends at T", "sharing.py", "if any(begins <= at_ms < ends", "if any(begins <= at_ms <= ends"),
    ("C1 valid_from", "sharing.py", "else max(grant.time_ms, times.beginning(valid_from))", "else grant.time_ms"),
    ("C1 no asterisk", "sharing.py", 'and each.term("purpose") == agreement.purpose', 'and each.term("purpose") in (agreement.purpose, "*")'),
    ("C2 as stated", "sharing.py", 'stated.setdefault((each.term("subscriber"), each.term("purpose")), [])', 'stated.setdefault(("*", "*"), [])'),
    ("C2 protective", "sharing.py", '"OBJECTED": 1', '"OBJECTED": 0'),
    ("C3 per owner", "sharing.py", "said.setdefault((event.owner, event.subject), [])", 'said.setdefault(("", event.subject), [])'),
    ("C3 protective", "sharing.py", '"RESTRICTED": 1', '"RESTRICTED": 0'),
    ("C3 component", "sharing.py", "bool((component | ends) & restricted)", "bool((members | ends) & restricted)"),
    ("C3 cut edge", "sharing.py", "bool((component | ends) & restricted)", "bool(component & restricted)"),
    ("C4 own subscriber", "sharing.py", "own = [each for each in about if each.owner == agreement.subscriber]", "own = about"),
    ("C4 protective", "sharing.py", '"ENDED": 1', '"ENDED": 0'),
    ("C5 consent's scope", "sharing.py", 'if permitted != "permit":', "if False:"),
    ("C5 deceased", "sharing.py", "    return dead\n", "    return True\n"),
    ("C5 deceased on consent", "sharing.py", 'return permitted == "permit"\n    return dead', "return True\n    return dead"),
    ("C5 any item", "sharing.py", "return any(same_json(value, listed) for value in values for", "return any(same_json(value, listed) for value in values[:1] for"),
    ("C6 valid until", "sharing.py", "<= at_ms < agreement.valid_until_ms", "<= at_ms <= agreement.valid_until_ms"),
    ("C6 restricted", "sharing.py", "if person.restricted and not agreement.sees_restricted", "if person.restricted"),
    ("C6 deceased", "sharing.py", 'if agreement.stops_at_death and person.golden.get("death")', "if False"),
    ("C6 objection honoured", "sharing.py", "if agreement.honours_objection and c2", "if c2"),
    ("C7 sorted items", "sharing.py", "sorted(golden.items(), key=lambda pair: str(pair[0]))", "golden.items()"),
    ("C7 no empty view", "sharing.py", "return view if any(value is not None for value in view.values()) else None", "return view"),
    ("C8 not superseded", "sharing.py", "scheme_of(one) == scheme and one not in person.identity.superseded", "scheme_of(one) == scheme"),
    ("C8 group", "sharing.py", 'else f"group:{agreement.group}"', 'else f"agreement:{agreement.group}"'),
)  # fmt: skip

PROBE = """
import pickle, sys, tempfile
from pathlib import Path
from tests.model import replay
questions = pickle.loads(Path(sys.argv[1]).read_bytes())
for q, expected in questions:
    try:
        found = replay(q.lines, contracts=q.contracts, agreements=q.agreements, secret=q.secret, at_ms=q.at_ms,
                       limits=q.limits)
    except Exception:
        found = None
    if found != expected:
        print(q.seed, q.contracts.parent.name)
        break
else:
    print("NEVER")
"""


def main(seeds: int, *rules: str) -> None:
    """Print the first seed that notices each mutant, or each of the rules named."""
    import pickle

    from tests.nasty.generate import nasty
    from tests.nasty.stages import by_model
    from tests.nasty.worlds import make_world

    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        questions = [nasty(seed, (30, 80, 160)[seed % 3]) for seed in range(seeds)]
        for seed in range(seeds // 2):
            contracts, agreements = make_world(seed, room / "worlds" / str(seed))
            questions.append(nasty(seed, 60, contracts=contracts, agreements=agreements))
        (room / "questions").write_bytes(pickle.dumps([(each, by_model(each)) for each in questions]))
        (room / "probe.py").write_text(PROBE)
        for rule, file, right, wrong in MUTANTS:
            if rules and rule not in rules:
                continue
            print(f"{probed(room, file, right, wrong):>12}  {rule}", flush=True)


def probed(room: Path, file: str, right: str, wrong: str) -> str:
    """What the probe says of one mutant."""
    copy = room / "mutant"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT / "tests", copy / "tests")
    path = copy / "tests" / "model" / file
    text = path.read_text()
    if text.count(right) == 0:
        return "STALE"
    path.write_text(text.replace(right, wrong))
    done = subprocess.run(
        [sys.executable, room / "probe.py", room / "questions"],
        cwd=copy,
        env={"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or done.stderr[-300:]


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])

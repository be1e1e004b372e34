"""Whoever tells the events of a nasty set: few people, few moments, much contradiction.

Nothing here knows the contracts of `tests/cases`: whatever a directory of contracts can say gets said, so the
same generator speaks in the worlds of `tests.nasty.worlds`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.model.contracts import Agreement, Contract, Rules
from tests.model.identifiers import IdentifierError, scheme_of
from tests.nasty import moments
from tests.nasty.broken import at_the_limit, broken
from tests.nasty.bursts import burst
from tests.nasty.pools import fresh_value, written
from tests.nasty.values import Values

WEIGHTS = {
    "fact": 4.0,
    "link": 12.0,
    "unlink": 7.0,
    "annulment": 6.0,
    "consent": 20.0,
    "objection": 5.0,
    "restriction": 3.0,
    "enrolment": 6.0,
}
FITTING: dict[str, Callable[[Agreement], bool]] = {  # what a kind decides about
    "consent": lambda agreement: agreement.basis == "consent",
    "objection": lambda agreement: agreement.honours_objection,
    "enrolment": lambda agreement: agreement.scope == "enrolled",
}
STATES = {  # how often a state is stated, of every ten
    "GRANTED": 7,
    "PAUSED": 1,
    "WITHDRAWN": 2,
    "OBJECTED": 3,
    "LIFTED": 7,
    "RESTRICTED": 4,
    "ENROLLED": 8,
    "ENDED": 2,
}


@dataclass(frozen=True)
class Knobs:
    """What a set is like. `calm` leaves out what takes whole persons away, so that views remain."""

    pool: int = 4  # identifiers of a scheme
    systems: int = 2  # source systems of an owner
    duplicates: float = 0.12
    bursts: float = 0.1  # scenes of several events that meet
    faults: float = 0.06
    calm: bool = False
    heat: float = 0.5  # how often it is about the same few people, agreements and moments
    crowd: int = 0  # so many edges about one identifier


class Teller:
    """Tells events about a small town."""

    def __init__(self, rng: Random, rules: Rules, at_ms: int, knobs: Knobs) -> None:
        self.rng, self.rules, self.at_ms, self.knobs = rng, rules, at_ms, knobs
        self.pool = {
            scheme: [fresh_value(rng, scheme, rules.schemes) for _ in range(rng.randint(2, knobs.pool))]
            for scheme in rules.schemes.order
        }
        retentions = sorted({contract.retention for contract in rules.contracts.values()})
        self.times = moments.event_times(rng, at_ms, retentions, 5)
        self.hot_times = moments.close_times(rng, at_ms)
        self.hot = [f"{scheme}:{values[0]}" for scheme, values in self.pool.items()]
        self.hot = [rng.choice(self.hot[:2]), *rng.sample(self.hot, k=min(2, len(self.hot)))]
        self.hot_agreement = {
            kind: rng.choice(
                [each for each in rules.agreements.values() if fits(each)] or [*rules.agreements.values()]
            )
            for kind, fits in FITTING.items()
        }
        self.days, self.instants = moments.days(rng, at_ms), moments.instants(rng, at_ms)
        self.scope_values = _scope_values(rules)
        self.told: list[dict[str, Any]] = []
        self.count = 0

    def lines(self, size: int) -> list[bytes]:
        """All events as lines, in any order, blank ones and broken ones among them."""
        rng = self.rng
        while len(self.told) < size:
            if self.told and rng.random() < self.knobs.duplicates:
                self.told.append(self.again())
            elif rng.random() < self.knobs.bursts:
                self.told += burst(self)
            else:
                self.told.append(self.event())
        if self.knobs.crowd:
            self.told += self.crowd()
        lines = [self.line(event) for event in self.told]
        lines += [
            broken(rng, rng.choice(self.told), self.rules, self.at_ms)
            for _ in range(size)
            if rng.random() < self.knobs.faults
        ]
        lines += rng.choices((b"", b"   ", b"\t"), k=rng.choice((0, 0, 1, 2)))
        if rng.random() < 0.02:
            lines.append(at_the_limit(rng, rng.choice(self.told)))
        rng.shuffle(lines)
        return lines

    def line(self, event: dict[str, Any]) -> bytes:
        """One of the ways to write an event."""
        names = list(event)
        if self.rng.random() < 0.3:
            self.rng.shuffle(names)
        separators = (",", ":") if self.rng.random() < 0.5 else None
        plain = self.rng.random() < 0.5
        text = json.dumps({name: event[name] for name in names}, ensure_ascii=plain, separators=separators)
        return text.encode()

    # ---- events ----

    def event(self, contract: Contract | None = None) -> dict[str, Any]:
        """A new event under some contract."""
        rng = self.rng
        if contract is None:
            contracts = list(self.rules.contracts.values())
            contract = rng.choices(contracts, weights=[self.weight(each) for each in contracts])[0]
        self.count += 1
        owner = rng.choice(sorted(contract.owners))
        source = f"urn:gov:{owner}:{rng.choice(('main', 'alt.2')[: self.knobs.systems])}"
        event = {
            "specversion": "1.0",
            "id": f"e{self.count}",
            "source": source,
            "type": contract.type,
            "time": self.time(contract),
            "datacontenttype": "application/json",
            "data": self.data(contract, owner),
        }
        if rng.random() < 0.05:
            event["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        self.point_back(event, contract)
        return event

    def time(self, contract: Contract) -> str:
        """When the event says that it was recorded: decisions are often made minutes apart."""
        hot = contract.kind != "fact" and self.rng.random() < self.knobs.heat
        return moments.as_written(self.rng, self.rng.choice(self.hot_times if hot else self.times))

    def weight(self, contract: Contract) -> float:
        """A kind's contracts share its weight; those of facts have it each."""
        weight = WEIGHTS[contract.kind]
        if self.knobs.calm and contract.kind in ("restriction", "objection", "unlink"):
            weight /= 3
        if self.knobs.calm and "death" in (said.get("attribute") for said in contract.annotations.values()):
            weight /= 4
        if contract.kind == "fact":
            return weight
        return weight / sum(1 for each in self.rules.contracts.values() if each.kind == contract.kind)

    def again(self) -> dict[str, Any]:
        """The same (source, id) once more: the same content, another one, another time or another type."""
        rng = self.rng
        earlier = rng.choice(self.told)
        event = deepcopy(earlier)
        contract = self.rules.contracts[event["type"]]
        owner = event["source"].split(":")[2]
        form = rng.random()
        if form < 0.25:
            return event
        if form < 0.5:  # some other content about the same subject
            (subject,) = contract.fields_in_role("subject")
            event["data"] = self.data(contract, owner) | {subject: event["data"][subject]}
        elif form < 0.7:
            event["time"] = moments.as_written(rng, rng.choice(self.times))
        elif form < 0.9:  # one field differs, often the subject
            other = self.data(contract, owner)
            name = rng.choice([*sorted(other), *contract.fields_in_role("subject") * 3])
            event["data"][name] = other.get(name, event["data"].get(name))
        else:
            others = [each for each in self.rules.contracts.values() if owner in each.owners]
            event = self.event(rng.choice(others)) | {"source": event["source"], "id": event["id"]}
        return event

    def point_back(self, event: dict[str, Any], contract: Contract) -> None:
        """Let an annulment or a correction name an earlier event: mostly one that it can remove."""
        rng, prior = self.rng, contract.field_marked("prior")
        if prior is None:
            return
        if contract.kind != "annulment" and rng.random() < 0.85:
            event["data"][prior] = None
            return
        (subject,) = contract.fields_in_role("subject")
        owner = event["source"].split(":")[2]
        own = [each for each in self.told if each["source"].split(":")[2] == owner]
        target = rng.choice(own or self.told or [event])
        event["data"][prior] = target["id"]
        if rng.random() < 0.9:
            event["source"] = target["source"] if own else event["source"]
        about = self.subject_of(target)
        said = contract.annotations[subject]
        if about is not None and rng.random() < 0.9:
            allowed = said.get("schemes")
            if said["identifier"] == "*" and (not allowed or scheme_of(about) in allowed):
                event["data"][subject] = about
            elif said["identifier"] == scheme_of(about):
                event["data"][subject] = about.partition(":")[2]

    def subject_of(self, event: dict[str, Any]) -> str | None:
        """The canonical subject of a told event."""
        contract = self.rules.contracts[event["type"]]
        (name,) = contract.fields_in_role("subject")
        scheme, value = contract.annotations[name]["identifier"], event["data"][name]
        try:
            return str(value) if scheme == "*" else self.rules.schemes.canonical(scheme, value)
        except IdentifierError:
            return None

    def crowd(self) -> list[dict[str, Any]]:
        """Many identifiers that one event each links to one: a hub, or a person too large."""
        rng, told = self.rng, []
        linking = [
            (contract, role)
            for contract in self.rules.contracts.values()
            for role in ("same-person", "other")
            if contract.kind != "unlink" and contract.fields_in_role(role)
        ]
        contract, role = rng.choice(linking)
        (subject,) = contract.fields_in_role("subject")
        center, spoke = (subject, contract.fields_in_role(role)[0])
        if rng.random() < 0.5:
            center, spoke = spoke, center
        fixed = self.identifier(contract, center)
        for _ in range(self.knobs.crowd):
            event = self.event(contract)
            event["data"][center] = fixed
            event["data"][spoke] = self.identifier(contract, spoke, fresh=True)
            told.append(event)
        return told

    # ---- data ----

    def data(self, contract: Contract, owner: str) -> dict[str, Any]:
        """Data of a contract: by annotation where that means something, by type where not."""
        rng = self.rng
        values = Values(rng, self.days, self.instants)
        values.learn(contract.schema)
        data: dict[str, Any] = {}
        aim = self.aim(contract.kind, owner)
        for each in contract.schema["fields"]:
            name, said, default = each["name"], each["postroom"], "default" in each
            if default and rng.random() < 0.1:
                continue
            if "identifier" in said:
                nothing = isinstance(each["type"], list) and rng.random() < 0.35
                data[name] = None if nothing else self.identifier(contract, name)
            elif "attribute" in said:
                data[name] = self.attribute(said["attribute"], values.value(each["type"], null=0.1))
            elif said.get("item"):
                data[name] = rng.choice(("pip", "uc", "a/1", "É"))
            elif said.get("prior"):
                data[name] = None if isinstance(each["type"], list) and rng.random() < 0.5 else self.some_id()
            elif "term" in said:
                data[name] = self.term(said["term"], each["type"], values, aim)
            else:
                data[name] = values.value(each["type"])
        return data

    def some_id(self) -> str:
        return f"e{self.rng.randint(1, self.count + 5)}"

    def identifier(self, contract: Contract, name: str, fresh: bool = False) -> str:
        """An identifier as a field takes it, not always in its normal form."""
        rng, said = self.rng, contract.annotations[name]
        star = said["identifier"] == "*"
        scheme = said["identifier"]
        if star:
            schemes = said.get("schemes") or self.rules.schemes.order
            hot = [each for each in self.hot if scheme_of(each) in schemes]
            if hot and not fresh and rng.random() < self.knobs.heat:
                return rng.choice(hot)
            scheme = rng.choice([*schemes, *(each for each in ("nino", "nhs") if each in schemes)])
        value = self.pool[scheme][0] if rng.random() < self.knobs.heat else rng.choice(self.pool[scheme])
        if fresh:
            value = fresh_value(rng, scheme, self.rules.schemes)
        return f"{scheme}:{value}" if star else written(rng, scheme, value)

    def attribute(self, name: str, value: Any) -> Any:
        """Half of the time a value that some scope asks for."""
        for field_name, listed in self.scope_values.get(name, ()):
            if self.rng.random() < 0.5 and value is not None:
                wanted = self.rng.choice(listed)
                value = wanted if field_name is None else value | {field_name: wanted}
        return value

    def aim(self, kind: str, owner: str) -> dict[str, str]:
        """The agreement that a statement of §5 speaks of, now and then one that there is not."""
        agreements = list(self.rules.agreements.values())
        agreements = [each for each in agreements if FITTING.get(kind, bool)(each)] or agreements
        own = [each for each in agreements if each.subscriber == owner]
        agreement = self.rng.choice(own if own and self.rng.random() < 0.8 else agreements)
        if kind in self.hot_agreement and self.rng.random() < self.knobs.heat:
            agreement = self.hot_agreement[kind]
        if self.rng.random() < 0.05:
            agreement = self.rng.choice(list(self.rules.agreements.values()))
        return {"subscriber": agreement.subscriber, "purpose": agreement.purpose, "agreement": agreement.name}

    def term(self, term: str, schema: Any, values: Values, aim: dict[str, str]) -> Any:
        """A value for a term of §2 or §5."""
        rng = self.rng
        tell: dict[str, Callable[[], Any]] = {
            "subscriber": lambda: rng.choice((aim["subscriber"],) * 12 + ("*", "*", "ofsted")),
            "purpose": lambda: rng.choice((aim["purpose"],) * 12 + ("*", "*", "nothing")),
            "agreement": lambda: rng.choice((aim["agreement"],) * 9 + ("no-such",)),
            "categories": self.categories,
            "state": lambda: self.state(values, schema),
            "evidence": lambda: rng.choice((None, "signed")) if isinstance(schema, list) else "signed",
        }
        if term in tell:
            return tell[term]()
        return values.value(schema, null={"effective": 0.2, "until": 0.6}.get(term, 0.65))

    def categories(self) -> list[str]:
        known = sorted({attribute.category for attribute in self.rules.attributes.values()})
        if self.rng.random() < 0.35:
            return []
        return self.rng.choices([*known, "no-such"], k=self.rng.choice((1, 2, 3)))

    def state(self, values: Values, schema: Any) -> str:
        symbols = (values.names[schema] if isinstance(schema, str) else schema)["symbols"]
        return str(self.rng.choices(symbols, weights=[STATES[symbol] for symbol in symbols])[0])


def _scope_values(rules: Rules) -> dict[str, list[tuple[str | None, list[Any]]]]:
    found: dict[str, list[tuple[str | None, list[Any]]]] = {}
    for agreement in rules.agreements.values():
        if isinstance(agreement.scope, dict):
            where = agreement.scope["where"]
            listed = [each.isoformat() if hasattr(each, "isoformat") else each for each in where["in"]]
            found.setdefault(where["attribute"], []).append((where.get("field"), listed))
    return found

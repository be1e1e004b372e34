"""Who may what on a cluster: what is granted, how that differs from what is wanted, and making it so.

Only what is allowed is written here, for any host. What somebody denied by hand stays: it is an emergency
brake, and no plan releases it. What is granted to names that are not ours stays too, and is told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from connectors.kafka_access import KafkaAccess
from connectors.kafka_admin import admin_of

USER = "User:"


class Resource(StrEnum):
    """What we allow something on; Kafka's own names in lower case."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional_id"


class Operation(StrEnum):
    """What we allow; reading and writing include describing. Nobody may administer but the super user."""

    READ = "read"
    WRITE = "write"
    DESCRIBE = "describe"


class Acl(NamedTuple):
    """One permission: this user may do this on the resource of this name, or on all whose name so begins."""

    user: str
    resource: str
    name: str
    operation: str
    prefixed: bool = False

    @property
    def on(self) -> str:
        """The resource, for a person to read."""
        return f"{self.resource} {self.name}{'*' if self.prefixed else ''}"

    def covers(self, resource: str, name: str) -> bool:
        """Whether it speaks of this resource."""
        matches = name.startswith(self.name) if self.prefixed else self.name in (name, "*")
        return self.resource == resource and matches


@dataclass(frozen=True, slots=True)
class AclChange:
    """One difference: `action` is grant or revoke."""

    action: str
    acl: Acl


@dataclass(frozen=True, slots=True)
class AclPlan:
    """What differs; and what others hold and what is denied, which is told and never changed."""

    changes: tuple[AclChange, ...] = ()
    foreign: tuple[Acl, ...] = ()
    denied: tuple[Acl, ...] = ()


class Acls:
    """A cluster's access rules, through its admin interface. `ours` tells the users that we answer for."""

    def __init__(self, access: KafkaAccess, ours: Callable[[str], bool]) -> None:
        self.access, self._ours = access, ours

    def plan(self, wanted: Collection[Acl]) -> AclPlan | None:
        """Compare what is wanted with what is there; None when the cluster has no authorizer."""
        found = self._found()
        if found is None:
            return None
        allowed, denied = found
        ours = {acl for acl in allowed if self._ours(acl.user)}
        missing, surplus = set(wanted) - ours, ours - set(wanted)
        changes = [AclChange("grant", acl) for acl in missing] + [AclChange("revoke", acl) for acl in surplus]
        changes.sort(key=lambda change: (change.acl, change.action))
        return AclPlan(tuple(changes), tuple(sorted(allowed - ours)), tuple(sorted(denied)))

    def apply(self, changes: Iterable[AclChange]) -> None:
        """Make the changes of a plan: first what is taken away, then what is given."""
        changes = list(changes)
        revoked = [change.acl for change in changes if change.action == "revoke"]
        granted = [change.acl for change in changes if change.action == "grant"]
        with admin_of(self.access, "acls") as admin:
            if revoked:
                refused = [error for _, _, error in admin.delete_acls([_filter(acl) for acl in revoked])]
                _raise_first(refused)
            if granted:
                _raise_first(admin.create_acls([to_kafka(acl) for acl in granted])["failed"])

    def _found(self) -> tuple[set[Acl], set[Acl]] | None:
        """What is allowed and what is denied, of everybody."""
        from kafka.admin import (
            ACLFilter,
            ACLOperation,
            ACLPermissionType,
            ACLResourcePatternType,
            ResourcePatternFilter,
            ResourceType,
        )
        from kafka.errors import SecurityDisabledError

        pattern = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        everything = ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, pattern)
        with admin_of(self.access, "acls") as admin:
            try:
                found, _ = admin.describe_acls(everything)
            except SecurityDisabledError:
                return None
        allowed = {from_kafka(acl) for acl in found if acl.permission_type is ACLPermissionType.ALLOW}
        return allowed, {from_kafka(acl) for acl in found if acl.permission_type is ACLPermissionType.DENY}


def from_kafka(acl: Any) -> Acl:
    """Read a permission as kafka-python has it."""
    from kafka.admin import ACLResourcePatternType

    pattern = acl.resource_pattern
    # INVARIANT: a permission for one host is another one than ours for all; its name says so, and differs.
    host = "" if acl.host == "*" else f" from {acl.host}"
    return Acl(
        acl.principal.removeprefix(USER),
        pattern.resource_type.name.lower(),
        pattern.resource_name,
        acl.operation.name.lower() + host,
        pattern.pattern_type is ACLResourcePatternType.PREFIXED,
    )


def _pattern(acl: Acl) -> Any:
    from kafka.admin import ACLResourcePatternType, ResourcePattern, ResourceType

    kind = ACLResourcePatternType.PREFIXED if acl.prefixed else ACLResourcePatternType.LITERAL
    return ResourcePattern(ResourceType[acl.resource.upper()], acl.name, kind)


def _parts(acl: Acl) -> tuple[str, str, Any, Any]:
    from kafka.admin import ACLOperation, ACLPermissionType

    operation, _, host = acl.operation.partition(" from ")
    return USER + acl.user, host or "*", ACLOperation[operation.upper()], ACLPermissionType.ALLOW


def to_kafka(acl: Acl) -> Any:
    """Write a permission as kafka-python has it."""
    from kafka.admin import ACL

    return ACL(*_parts(acl), _pattern(acl))


def _filter(acl: Acl) -> Any:
    from kafka.admin import ACLFilter

    return ACLFilter(*_parts(acl), _pattern(acl))


def _raise_first(errors: Iterable[Any]) -> None:
    from kafka.errors import NoError

    for error in errors:
        if error is not NoError:
            raise error if isinstance(error, BaseException) else error()

"""What a stack is, to those who use it, and what must be said to find or start one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from connectors.kafka_access import KafkaAccess
from connectors.registry_users import Token, no_token


class StackSettings(Protocol):
    """What the local stack must know; `postroom.config.Settings` has it."""

    @property
    def kafka(self) -> str | None:
        """The bootstrap address of an existing cluster, or None."""

    @property
    def kafka_username(self) -> str | None:
        """Who we are on Kafka, if anybody said so."""

    @property
    def kafka_security(self) -> str | None:
        """How the line is protected, if anybody said so."""

    def kafka_access(self) -> KafkaAccess:
        """How the existing cluster is reached."""

    def kafka_password_text(self) -> str | None:
        """What proves who we are, if it was given."""

    @property
    def registry(self) -> str | None:
        """The base URL of an existing registry, or None."""

    def registry_token(self) -> str | None:
        """What proves to an existing registry who we are, if it was given; asked before each request."""

    @property
    def state_dir(self) -> Path:
        """Where data, logs and pids are."""

    @property
    def cache_dir(self) -> Path:
        """Where jars are kept."""

    @property
    def kafka_port(self) -> int:
        """The port wished for, 0 for a free one."""

    @property
    def registry_port(self) -> int:
        """The port wished for, 0 for a free one."""


@dataclass(frozen=True, slots=True)
class Stack:
    """How Kafka is reached, and where the registry is (`http://…`); `local` if we started them."""

    access: KafkaAccess
    registry: str
    local: bool
    registry_token: Token = field(default=no_token, repr=False)
    """What proves to the registry who we are, where it asks."""

    @property
    def kafka(self) -> str:
        """Kafka's address, `host:port[,…]`, for a person to read: a client is given `access`."""
        return self.access.bootstrap


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One row of `postroom status`. `state`: running, silent, dead, stopped, reachable, unreachable."""

    part: str
    state: str
    address: str = ""
    pid: int | None = None
    since: str = ""
    memory_mb: int | None = None
    log: str = ""
    data: str = ""
    problem: str = ""

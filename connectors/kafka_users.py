"""Kafka's users and their SCRAM passwords: made, changed and taken away by the administrator.

The broker is sent the salted hash, never the password, and by the administration protocol, never on a command
line where `ps` would show it.
"""

from __future__ import annotations

from connectors.kafka_access import KafkaAccess
from connectors.kafka_admin import admin_of
from connectors.trouble import Trouble

ITERATIONS = 8192
"""Of PBKDF2; passwords that we make have 256 random bits, so that this is for those that somebody chose."""


class Users:
    """The users of a cluster."""

    def __init__(self, access: KafkaAccess) -> None:
        self.access = access

    def set_password(self, user: str, password: str) -> None:
        """Make the user, or change the password; both mechanisms, so that a client may choose."""
        from kafka.admin import UserScramCredentialUpsertion

        for mechanism in ("SCRAM_SHA_512", "SCRAM_SHA_256"):  # Kafka takes one of a user at a time
            change = UserScramCredentialUpsertion(user, mechanism, password, iterations=ITERATIONS)
            self._alter(user, change)

    def remove(self, user: str) -> None:
        """Take the user's passwords away; a connection that is open stays until somebody ends it."""
        from kafka.admin import UserScramCredentialDeletion

        mechanisms = self.mechanisms(user)
        if not mechanisms:
            raise Trouble("there is no such user", where=user, mend="`postroom access list` names them")
        for mechanism in mechanisms:
            self._alter(user, UserScramCredentialDeletion(user, mechanism))

    def mechanisms(self, user: str) -> list[str]:
        """What a user has a password for, none when there is no such user.

        One user is asked for: asked for all by somebody who may not, Kafka 4.1 answers nothing at all.
        """
        with admin_of(self.access, "users") as admin:
            known = admin.describe_user_scram_credentials([user]).get(user, {})
        return [found["mechanism"].name for found in known.get("credential_infos", ())]

    def _alter(self, user: str, change: object) -> None:
        with admin_of(self.access, "users") as admin:
            refused = admin.alter_user_scram_credentials([change]).get(user)
        if refused:
            raise Trouble("Kafka did not change a user", where=user, why=str(refused))

"""Lines of events to Kafka: idempotent, acknowledged by all, in CloudEvents binary mode (E2).

A line that cannot go is answered with its reason and the next one goes on; a broker that is not there ends
the whole within a bounded time. Publishing a file again is harmless: (source, id) identifies an event (E1).
"""

from __future__ import annotations

import socket
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from producers.files import Line
from producers.ready import Ready, Refused, Undelivered, make_ready, refuse
from producers.reused import Seen, reused
from schemas import EVENT_BYTES_MAX, Addressees, Contract, Contracts, Warned, frame

CONNECT_SECONDS = 10
TOPIC_SECONDS = 15  # a broker that is busy tells late of a topic that was just made
DELIVERY_SECONDS = 30
CLOSE_SECONDS = 3
IN_FLIGHT_MAX = 2_000
REQUEST_BYTES_MAX = 2 * EVENT_BYTES_MAX  # the largest value (E7) and its headers

SchemaId = Callable[[Contract], int | None]
"""The registry's id of a contract's schema, or None when it is not registered."""


class BrokerUnreachable(Exception):  # noqa: N818 - what is so, not what went wrong in code
    """Kafka is not there, or no longer; ``where`` is its address."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where, why)
        self.where = where
        self.why = why


class Published(NamedTuple):
    """A line that Kafka has acknowledged."""

    number: int
    type: str
    warnings: tuple[Warned, ...] = ()


class NotPublished(NamedTuple):
    """A line that is not on Kafka as far as is known."""

    number: int
    refused: Refused


Result = Published | NotPublished


class _Waiting(NamedTuple):
    number: int
    type: str
    delivery: Any
    warnings: tuple[Warned, ...] = ()


def connect(bootstrap: str, **security: object) -> Any:
    """A producer of kafka-python for :class:`Publisher`; BrokerUnreachable after ten seconds.

    ``security`` takes kafka-python's own settings for TLS and SASL.
    """
    from kafka import KafkaProducer
    from kafka.errors import KafkaError

    try:
        return KafkaProducer(
            bootstrap_servers=bootstrap.split(","),
            client_id="postroom-publish",
            enable_idempotence=True,  # said aloud, so that a setting against it fails instead of winning
            acks="all",
            allow_auto_create_topics=False,  # a topic has an owner and a retention before it has events
            bootstrap_timeout_ms=CONNECT_SECONDS * 1000,
            max_block_ms=TOPIC_SECONDS * 1000,
            request_timeout_ms=CONNECT_SECONDS * 1000,
            delivery_timeout_ms=DELIVERY_SECONDS * 1000,
            max_request_size=REQUEST_BYTES_MAX,
            linger_ms=5,
            batch_size=65_536,
            **security,
        )
    except (KafkaError, OSError) as error:
        raise BrokerUnreachable(bootstrap, _words(error)) from error


def disconnect(producer: Any) -> None:
    """Close what :func:`connect` gave, within seconds and whatever has become of Kafka."""
    from kafka.errors import KafkaError

    try:
        producer.close(timeout=CLOSE_SECONDS)
    except KafkaError:
        # kafka-python waits for records that a lost cluster will never take, and waits again when the
        # interpreter ends. There is no public way to drop them; each has been reported as not delivered.
        producer._sender.force_close()
        producer.close(timeout=CLOSE_SECONDS)


class Publisher:
    """Publishes lines under the contracts in force.

    ``producer`` is what :func:`connect` gives for the address ``where``; ``now_ms`` tells the time. At most
    ``in_flight_max`` events are unacknowledged, whatever the length of the file. ``speaks_for`` is the one
    owner whose events may go this way; None: any. ``addressees`` are those that a statement may name.
    """

    def __init__(
        self,
        producer: Any,
        contracts: Contracts,
        schema_id: SchemaId,
        now_ms: Callable[[], int],
        *,
        where: str = "",
        in_flight_max: int = IN_FLIGHT_MAX,
        speaks_for: str | None = None,
        addressees: Addressees | None = None,
    ) -> None:
        self._producer = producer
        self._where = where
        self._contracts = contracts
        self._schema_id = schema_id
        self._now_ms = now_ms
        self._in_flight_max = in_flight_max
        self._speaks_for = speaks_for
        self._addressees = addressees
        self._destinations: dict[str, int | Refused] = {}
        self._waiting: deque[_Waiting] = deque()

    def publish(self, lines: Iterable[Line], seen: Seen | None = None) -> Iterator[Result]:
        """One result for each line that is not blank: refusals at once, acknowledgements as they come.
        Of two lines with one name that differ the second is refused, if `seen` remembers the names.

        BrokerUnreachable once Kafka has stopped answering; the lines that were under way come first, each as
        not delivered.
        """
        for line in lines:
            if not line.blank:
                refused = self._send(line, seen)
                if refused is not None:
                    yield NotPublished(line.number, refused)
            yield from self._settle(self._in_flight_max)
        yield from self._settle(0)

    def _send(self, line: Line, seen: Seen | None) -> Refused | None:
        ready = make_ready(line.content, self._contracts, self._now_ms(), self._speaks_for, self._addressees)
        if isinstance(ready, Refused):
            return ready
        if seen is not None and (refused := reused(ready, line.number, seen)) is not None:
            return refused
        topic = ready.contract.type
        schema_id = self._destination(ready.contract)
        if isinstance(schema_id, Refused):
            return schema_id
        return self._hand_over(line, topic, frame(schema_id, ready.body), ready)

    def _hand_over(self, line: Line, topic: str, value: bytes, ready: Ready) -> Refused | None:
        from kafka.errors import KafkaError

        try:
            # No key: nothing may depend on it (E2), and an identifier has no business in it.
            where = {} if line.together is None else {"partition": self._partition(topic, line.together)}
            delivery = self._producer.send(topic, value=value, headers=list(ready.headers), **where)
        except (KafkaError, ValueError) as error:
            return refuse(Undelivered.NOT_DELIVERED, _words(error), topic)
        self._waiting.append(_Waiting(line.number, topic, delivery, ready.warnings))
        return None

    def _partition(self, topic: str, together: str) -> int:
        """One partition for all that belongs together, though without a key that would tell what that is."""
        partitions = sorted(self._producer.partitions_for(topic))
        return int(partitions[zlib.crc32(together.encode()) % len(partitions)])

    def _destination(self, contract: Contract) -> int | Refused:
        """The schema id of a topic that exists, asked once a type."""
        known = self._destinations.get(contract.type)
        if known is None:
            known = self._destinations[contract.type] = self._look_up(contract)
        return known

    def _look_up(self, contract: Contract) -> int | Refused:
        from kafka.errors import KafkaError, TopicAuthorizationFailedError

        schema_id = self._schema_id(contract)
        if schema_id is None:
            why = "this contract is not in the registry"
            return refuse(Undelivered.NOT_DELIVERED, why, contract.type, "postroom contract register")
        try:
            self._producer.partitions_for(contract.type)
        except TopicAuthorizationFailedError:
            why = f"Kafka does not let this user write {contract.type}"
            return refuse(Undelivered.NOT_DELIVERED, why, contract.type, _who_may(contract))
        except KafkaError as error:
            if not _listens(self._where):
                raise BrokerUnreachable(self._where, _words(error)) from error
            why = f"Kafka told of no topic {contract.type} within {TOPIC_SECONDS} s"
            return refuse(Undelivered.NOT_DELIVERED, why, contract.type, "postroom topics apply")
        return schema_id

    def _settle(self, waiting_max: int) -> Iterator[Result]:
        """Take what is acknowledged, and wait until at most ``waiting_max`` are not."""
        from kafka.errors import KafkaTimeoutError

        while self._waiting and (len(self._waiting) > waiting_max or self._waiting[0].delivery.is_done):
            waiting = self._waiting.popleft()
            error = _outcome(waiting.delivery)
            if error is None:
                yield Published(waiting.number, waiting.type, waiting.warnings)
                continue
            yield NotPublished(waiting.number, refuse(Undelivered.NOT_DELIVERED, _words(error), waiting.type))
            if isinstance(error, KafkaTimeoutError):
                yield from self._give_up()
                raise BrokerUnreachable(self._where, _words(error)) from error

    def _give_up(self) -> Iterator[Result]:
        """Kafka answers no more: tell of each line under way without waiting for it."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if waiting.delivery.succeeded():
                yield Published(waiting.number, waiting.type, waiting.warnings)
            else:
                refused = refuse(Undelivered.NOT_DELIVERED, "Kafka does not answer", waiting.type)
                yield NotPublished(waiting.number, refused)


def _who_may(contract: Contract) -> str:
    if len(contract.owners) > 1:
        return "it has several owners: publish through the gateway, which knows who is who"
    return f"publish as owner.{next(iter(contract.owners))}; postroom access list"


def _outcome(delivery: Any) -> Exception | None:
    """Wait for one acknowledgement, a little longer than the producer itself does; None when it came."""
    from kafka.errors import KafkaError

    try:
        delivery.get(timeout=DELIVERY_SECONDS + 5)
    except KafkaError as error:
        failed: Exception = error
        return failed
    return None


def _listens(bootstrap: str) -> bool:
    """Whether anything at all takes connections there: it tells a lost cluster from a missing topic."""
    for server in bootstrap.split(","):
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
        except OSError:
            continue
        return True
    return False


def _words(error: Exception) -> str:
    """What a Kafka error says, without the record that it happened to."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__

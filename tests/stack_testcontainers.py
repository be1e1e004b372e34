"""The stack in Docker, for machines that have it: `pytest --stack=testcontainers`.

A thin adapter to `testcontainers`, which is not among our dependencies: `pip install testcontainers==4.15.0`.
Not run by .ci/run; README says where it has been run and where not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from connectors import Stack
from connectors.kafka_access import KafkaAccess
from connectors.reachable import require

KAFKA_IMAGE = "apache/kafka:4.1.1"
REGISTRY_IMAGE = "apicurio/apicurio-registry:3.0.9"
REGISTRY_PORT = 8080


@contextmanager
def containers() -> Iterator[Stack]:
    """Run both containers; skip, saying why, where that cannot be."""
    try:
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.waiting_utils import wait_for
        from testcontainers.kafka import KafkaContainer
    except ImportError:
        pytest.skip("SKIPPED LOUDLY: --stack=testcontainers needs `pip install testcontainers==4.15.0`")
    try:
        kafka = KafkaContainer(KAFKA_IMAGE).with_kraft().start()
    except Exception as error:
        pytest.skip(f"SKIPPED LOUDLY: --stack=testcontainers, but Docker does not work here: {error}")
    try:
        with DockerContainer(REGISTRY_IMAGE).with_exposed_ports(REGISTRY_PORT) as registry:
            host, port = registry.get_container_host_ip(), registry.get_exposed_port(REGISTRY_PORT)
            found = Stack(KafkaAccess(kafka.get_bootstrap_server()), f"http://{host}:{port}", local=False)
            wait_for(lambda: require(found.access, found.registry) is None)
            yield found
    finally:
        kafka.stop()

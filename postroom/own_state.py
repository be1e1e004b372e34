"""What every process tells of the ground it stands on: how long certificates count, the disk, the clock.

A process that fails by one of these fails at a moment nobody has chosen; these figures are early.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from connectors import Stack, Trouble
from connectors.certificate_ends import End, ends_at, ends_in, https_server
from connectors.registry import Registry
from connectors.signals import CERTIFICATE_END, CLOCK_AHEAD, DISK_FREE
from postroom.config import Settings

FILES: Mapping[str, str] = {
    "gateway_tls_certificate": "gateway",
    "gateway_client_ca": "gateway-client-ca",
    "pay_tls_certificate": "pay",
    "onelogin_tls_certificate": "onelogin",
}
"""Settings of doors that name a file of certificates, and what metrics call it."""
KAFKA, REGISTRY = "kafka-listener", "registry"


def presented(stack: Stack) -> Iterator[tuple[str, list[End]]]:
    """What Kafka's addresses and the registry present, where the line is TLS."""
    if stack.access.encrypted:
        yield KAFKA, ends_at(stack.access.servers)
    server = https_server(stack.registry)
    if server is not None:
        yield REGISTRY, ends_at([server])


def in_files(settings: Settings, stack: Stack) -> Iterator[tuple[str, list[End]]]:
    """What our own files hold; one that cannot be read is the doctor's to tell."""
    files = {certificate: settings.values[name].value for name, certificate in FILES.items()}
    files |= {"kafka-ca": stack.access.ca_file, "kafka-client": stack.access.cert_file}
    for certificate, file in files.items():
        if file is not None:
            try:
                yield certificate, ends_in(Path(file))
            except (OSError, ValueError):
                continue


def tell_certificates(settings: Settings, stack: Stack) -> None:
    """Set the gauge; what does not answer keeps the end that was last seen."""
    for found in (in_files(settings, stack), presented(stack)):
        _tell(found)


def _tell(found: Iterable[tuple[str, list[End]]]) -> None:
    for certificate, ends in found:
        if ends:
            CERTIFICATE_END.labels(certificate).set(min(each.ends_ms for each in ends) / 1000)


def free_bytes(directory: Path) -> int:
    """How much is free where a directory is, or will be."""
    there = next(parent for parent in (directory, *directory.parents) if parent.exists())
    return shutil.disk_usage(there).free


def tell_disk(settings: Settings) -> None:
    """Let the gauge look at the disk whenever it is asked."""
    DISK_FREE.labels("state").set_function(lambda: free_bytes(settings.state_dir))


def tell_clock(stack: Stack) -> None:
    """Set the gauge by what the registry says that the time is; a silent registry leaves it as it was."""
    before_s = time.time()
    try:
        clock_ms = Registry(stack.registry).clock_ms()
    except Trouble:
        return
    if clock_ms is not None:
        # It tells whole seconds: half of one is as good a guess as any.
        CLOCK_AHEAD.labels("registry").set((before_s + time.time()) / 2 - (clock_ms / 1000 + 0.5))

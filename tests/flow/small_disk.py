"""A broker whose disk is small, to be filled to the last byte and emptied again, or takes no more."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors import own_process
from tests.flow.faults import process_of
from tests.flow.spine import COMMAND, Installation
from tests.flow.supervised import in_namespace

SIZE_MIB = 256
MOVE = """\
mount -t tmpfs -o size="$2" tmpfs "$1" || exit 1
cp -a --sparse=always "$3/." "$1" || exit 1
echo mounted
exec cat
"""
"""Run in a namespace. The mount lives as long as what holds it, which ends with its input: nothing stays."""
WITHIN_S = 120


class SmallDisk:
    """What the Kafka of an installation keeps, on a disk that only those see who live where it is mounted."""

    def __init__(self, own: Installation, holder: subprocess.Popen[bytes], data: Path) -> None:
        self.own, self.holder, self.data = own, holder, data

    @property
    def ballast(self) -> Path:
        """What is not Kafka's on that disk, seen from outside."""
        return Path(f"/proc/{self.holder.pid}/root{self.data}/ballast")

    def command(self, *words: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
        """Run `postroom ...` where that disk is, as an operator on the broker's machine would."""
        enter = ["nsenter", "--preserve-credentials", "--user", "--mount", f"--target={self.holder.pid}"]
        return subprocess.run(
            [*enter, *COMMAND, *words],
            capture_output=True,
            env=self.own.environment() | environ,
            cwd=self.own.place,
            timeout=2 * WITHIN_S,
            check=False,
        )

    def fill(self, leave_mib: int = 0) -> None:
        """Leave so much, or not a byte."""
        with self.ballast.open("ab", buffering=0) as file:
            if leave_mib:
                file.write(bytes((SIZE_MIB - leave_mib) << 20))
                return
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue

    def start(self) -> None:
        """Start the broker where its disk is."""
        done = self.command("up")
        assert done.returncode == 0, done.stderr.decode()
        self.own.reconnect()


@contextmanager
def small_disk(own: Installation) -> Iterator[SmallDisk]:
    """Move what Kafka keeps to a small disk, start it there, and take the disk away at the end."""
    data = own.settings.state_dir / "kafka" / "data"
    own_process.stop([process_of(own, "kafka")])
    before = data.rename(data.with_name("data-before"))
    data.mkdir()
    holder = subprocess.Popen(
        [*in_namespace(), "sh", "-c", MOVE, "sh", str(data), f"{SIZE_MIB}m", str(before)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"mounted\n"
        made = SmallDisk(own, holder, data)
        made.start()
        yield made
    finally:
        own_process.stop([process_of(own, "kafka")])
        holder.stdin.close()
        holder.wait(WITHIN_S)
        holder.stdout.close()


def refuse_writes(own: Installation) -> None:
    """Have every write of the broker fail from now on, as on a disk that breaks; it needs no mount."""
    resource.prlimit(process_of(own, "kafka").pid, resource.RLIMIT_FSIZE, (0, 0))


def until_ended(own: Installation) -> float:
    """Wait until the broker has ended by itself; return the seconds."""
    broker, started = process_of(own, "kafka"), time.monotonic()
    while own_process.find(broker) is not None:
        assert time.monotonic() - started < WITHIN_S, "the broker goes on"
        time.sleep(0.1)
    return time.monotonic() - started

"""Processes that we started, and only those.

A pid alone does not name a process: it is used again after a crash or a restart of the machine. So each
process gets a random token on its command line, and it is ours only while that pid carries that token.
(Start times would do as well but move when the machine's clock is set; a token does not.)
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

TERMINATE_SECONDS = 20.0
KILL_SECONDS = 5.0
KNOWN_SECONDS = 20.0

# What a process inherits. Options for other JVMs, and settings of other registries, stay outside.
INHERITED = ("PATH", "HOME", "USER", "TZ")

_children: list[subprocess.Popen[bytes]] = []  # held so that none is reaped or complained about too early


@dataclass(frozen=True, slots=True)
class OwnProcess:
    """A process as it is written down: enough to find it again, never to hit another one."""

    pid: int
    token: str
    started_at: float


def new_token() -> str:
    """Return what the command line of the next process must carry."""
    return f"postroom-{secrets.token_hex(8)}"


def start(command: Sequence[str], token: str, *, cwd: Path, out: Path) -> OwnProcess:
    """Start a process that outlives this one; its stdout and stderr are appended to `out`.

    INVARIANT: the token is in the command, or we could never stop what we started.
    """
    if not any(token in word for word in command):
        raise ValueError("the command does not carry the token")
    environ = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environ["LC_ALL"] = "C.UTF-8"  # a JVM reads paths in the locale's character set
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("ab") as sink:
        child = subprocess.Popen(  # noqa: S603 - our own command, no shell
            list(command),
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is not for it
        )
    _children.append(child)
    own = OwnProcess(child.pid, token, time.time())
    _wait_known(own, child)
    return own


def _wait_known(own: OwnProcess, child: subprocess.Popen[bytes]) -> None:
    """Return when the process can be told by its token, or has ended.

    The kernel says that a program has begun before its command line can be read: who looked at once, on
    a busy machine, took a process that was just starting for one that had ended.
    """
    deadline = time.monotonic() + KNOWN_SECONDS
    while find(own) is None and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)


def find(own: OwnProcess) -> psutil.Process | None:
    """Return the live process, or None when it has ended or the pid belongs to another one by now."""
    try:
        process = psutil.Process(own.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            _reap(own.pid)
            return None
        return process if any(own.token in word for word in process.cmdline()) else None
    except psutil.Error:  # gone, or somebody else's
        return None


def resident_bytes(own: OwnProcess) -> int | None:
    """Return the memory that the process holds, None when it is not there."""
    process = find(own)
    try:
        return int(process.memory_info().rss) if process else None
    except psutil.Error:
        return None


def stop(owns: Sequence[OwnProcess], terminate_seconds: float = TERMINATE_SECONDS) -> list[OwnProcess]:
    """End the processes: SIGTERM to all, then SIGKILL to those that did not go, which are returned."""
    live = {process.pid: (process, own) for own in owns if (process := find(own))}
    for process, _ in live.values():
        _signal(process, kill=False)
    _, stubborn = psutil.wait_procs([process for process, _ in live.values()], timeout=terminate_seconds)
    for process in stubborn:
        _signal(process, kill=True)
    psutil.wait_procs(stubborn, timeout=KILL_SECONDS)
    for own in owns:
        _reap(own.pid)
    return [live[process.pid][1] for process in stubborn]


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it may go by itself
        process.kill() if kill else process.terminate()


def _reap(pid: int) -> None:
    """Take the exit status of a child of ours, so that it leaves the process table."""
    for child in [child for child in _children if child.pid == pid]:
        if child.poll() is not None:
            _children.remove(child)

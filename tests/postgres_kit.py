"""A PostgreSQL of a test's own: made by initdb, on a free port, in a directory that is thrown away.

initdb refuses the super user, so for root it runs as the user that the package made.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from connectors.ports import free_port
from tests.programs import wanted

WITHIN_S = 60
MEND = "apt-get install postgresql (Debian, Ubuntu), or put initdb and postgres on the PATH"


def programs() -> Path | None:
    """Where initdb and postgres are: on the PATH, else the newest of Debian's."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    return max(versions, key=lambda path: int(path.parent.name.partition(".")[0]), default=None)


class Postgres:
    """One server: it can be killed and started again, and stopped in the middle."""

    def __init__(self, place: Path, bin_dir: Path) -> None:
        self.place, self.bin, self.port = place, bin_dir, free_port()
        self.user: str | None = "postgres" if os.geteuid() == 0 else None
        self.process: subprocess.Popen[bytes] | None = None
        if self.user is not None:
            owner = pwd.getpwnam(self.user)
            os.chown(place, owner.pw_uid, owner.pw_gid)
        self._run(
            "initdb", "-D", str(place / "data"), "-U", "admin", "-A", "trust", "-E", "UTF8", "--no-sync"
        )

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [str(self.bin / program), *words],
            capture_output=True,
            user=self.user,
            cwd=self.place,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()

    def start(self) -> None:
        """Start, or start again, and wait until it takes connections."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "wal_level": "logical",
            "max_connections": 40,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.place / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.bin / "postgres"), "-D", str(self.place / "data"), *options],
                stdout=log,
                stderr=log,
                cwd=self.place,
                user=self.user,
            )
        deadline = time.monotonic() + WITHIN_S
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self.place / "log").read_text()[-2000:]
                time.sleep(0.1)

    def kill(self) -> None:
        """End the whole server at once, as a machine that loses its power does."""
        if self.process is None:
            return
        whole = self._whole()
        for each in whole:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self.process.wait()
        psutil.wait_procs(whole, WITHIN_S)  # it would not start beside one that holds its memory
        (self.place / "data" / "postmaster.pid").unlink(missing_ok=True)
        self.process = None

    def _whole(self) -> list[psutil.Process]:
        """The server and its children, each of which is in a session of its own."""
        assert self.process is not None
        try:
            server = psutil.Process(self.process.pid)
            return [server, *server.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def pause(self) -> None:
        """Let it stand still, connections and all."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for each in self._whole():
            with suppress(psutil.NoSuchProcess):  # a worker of the server's own may have ended meanwhile
                each.send_signal(number)

    def url(self, database: str, user: str = "admin") -> str:
        """What libpq is given."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """A database; returns its administrator's URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def script(self, database: str, sql: str) -> None:
        """Run a script as the database's owner does."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql)

    def login(self, user: str, *roles: str) -> None:
        """A user with nothing but these roles."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [user]).fetchone():
                connection.execute(f'CREATE ROLE "{user}" LOGIN')
            for role in roles:
                connection.execute(f'GRANT "{role}" TO "{user}"')

    def rows(self, database: str, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Ask, as the administrator."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            return connection.execute(query, parameters).fetchall()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server that runs; without PostgreSQL the test is skipped, and says so."""
    bin_dir = wanted(programs, "PostgreSQL", MEND)
    place = Path(tempfile.mkdtemp(prefix="postroom-postgres-"))
    place.chmod(0o755)
    server = Postgres(place, bin_dir)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(place, ignore_errors=True)

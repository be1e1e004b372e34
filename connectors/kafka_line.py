"""The line to Kafka, tried by hand: does it speak TLS, is its certificate believed, are we.

Clients tell little of a line that was never made: a broker that speaks TLS to one that does not, a CA that is
not believed and a wrong password all end there as a timeout. Here the first exchanges are made one by one, so
that each can say what went wrong, at once.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Mapping

from connectors.certificate_ends import ends_in
from connectors.kafka_access import KafkaAccess
from connectors.trouble import NotLetIn, Unreachable

UNREACHABLE = "Kafka is unreachable"
TRY_SECONDS = 5.0
ANSWER_BYTES_MAX = 1 << 20
TLS_ALERT, TLS_HANDSHAKE = 0x15, 0x16
METADATA, SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE = 3, 17, 18, 36
NO_TOPICS = struct.pack(">i", 0)
UNSUPPORTED_MECHANISM = 33
STATUS = "`postroom status` says what runs; `postroom up` starts a local one"
NOT_BELIEVED = "Kafka's certificate is not believed"
NOT_NOW: Mapping[int, tuple[str, str]] = {
    10: (
        "Kafka's certificate has ended",
        "renew that of this listener, or of the CA that signed it; if neither has ended, this machine's "
        "clock is wrong (`postroom doctor` shows both)",
    ),
    9: (
        "Kafka's certificate does not count yet",
        "set the clock of this machine or of whoever made the certificate: `chronyc tracking` on both",
    ),
}
"""By OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED and X509_V_ERR_CERT_NOT_YET_VALID: what, and how to mend it."""
WHO = "check POSTROOM_KAFKA_USERNAME and its password file; `postroom access credential` makes a new one"


def line_problem(access: KafkaAccess) -> Unreachable | None:
    """Try the addresses one after the other; None when one is as it should be."""
    problems = [_try(access, server) for server in access.servers]
    return None if None in problems else problems[0]


def check_line(access: KafkaAccess) -> None:
    """Raise `NotLetIn` when something is there that will never let us in; what is late may still come."""
    problem = line_problem(access)
    if problem is not None and problem.what != UNREACHABLE:
        raise NotLetIn(problem.what, where=problem.where, why=problem.why, mend=problem.mend)


def _try(access: KafkaAccess, server: str) -> Unreachable | None:
    host, _, port = server.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=TRY_SECONDS) as line:
            if not access.encrypted:
                return _converse(access, server, line)
            problem = _shake_hands(access, server, line)
            return problem and (_ours_has_ended(access, problem) or problem)
    except OSError as error:
        return Unreachable(UNREACHABLE, where=server, why=error.strerror or str(error), mend=STATUS)


def _shake_hands(access: KafkaAccess, server: str, line: socket.socket) -> Unreachable | None:
    name = server.rpartition(":")[0].strip("[]")
    try:
        with access.tls().wrap_socket(line, server_hostname=name) as tls:
            return _converse(access, server, tls)
    except ssl.SSLCertVerificationError as error:
        return _not_believing(server, error)
    except ssl.SSLError as error:
        if "ALERT" in str(error.reason):
            return Unreachable(
                "Kafka wants another certificate of ours",
                where=server,
                why=str(error.reason),
                mend="check POSTROOM_KAFKA_CERT_FILE and POSTROOM_KAFKA_KEY_FILE",
            )
        return _no_tls(access, server)
    except ConnectionError:
        return _no_tls(access, server)


def _not_believing(server: str, error: ssl.SSLCertVerificationError) -> Unreachable:
    """Tell a certificate whose time is not now from one that is strange: other people mend it."""
    what, mend = NOT_NOW.get(
        error.verify_code,
        (
            NOT_BELIEVED,
            "name the CA that signed it with POSTROOM_KAFKA_CA_FILE, and the broker by a name in it",
        ),
    )
    return Unreachable(what, where=server, why=error.verify_message, mend=mend)


def _ours_has_ended(access: KafkaAccess, problem: Unreachable) -> Unreachable | None:
    """A broker refuses it by an alert that rarely says why, or by ending the line; here it can be seen."""
    theirs = {NOT_BELIEVED, *(what for what, _ in NOT_NOW.values())}
    file, now_ms = access.cert_file, time.time_ns() // 1_000_000
    if file is None or problem.what in theirs or all(each.ends_ms > now_ms for each in ends_in(file)):
        return None
    return Unreachable(
        "our certificate for Kafka has ended",
        where=str(file),
        why=f"{problem.where}: {problem.what}",
        mend="put a new one there (POSTROOM_KAFKA_CERT_FILE, POSTROOM_KAFKA_KEY_FILE) and start again",
    )


def _converse(access: KafkaAccess, server: str, line: socket.socket) -> Unreachable | None:
    """Ask what every broker answers, then what only one that knows us does."""
    try:
        _ask(line, API_VERSIONS, 0, b"")
    except (EOFError, ConnectionError) as error:
        return _no_kafka(server, error)
    if access.authenticates:
        return _introduce(access, server, line)
    try:
        _ask(line, METADATA, 1, NO_TOPICS)
    except (EOFError, ConnectionError):
        return Unreachable(
            "Kafka wants to know who we are",
            where=server,
            why=f"it ended the line, and POSTROOM_KAFKA_SECURITY is {access.security}, without a user",
            mend="set POSTROOM_KAFKA_SECURITY to SASL_SSL, POSTROOM_KAFKA_USERNAME and its password file",
        )
    return None


def _introduce(access: KafkaAccess, server: str, line: socket.socket) -> Unreachable | None:
    """SCRAM (RFC 5802), by kafka-python's own client of it."""
    from kafka.net.sasl.scram import ScramClient

    mechanism = access.mechanism.encode()
    try:
        answer = _ask(line, SASL_HANDSHAKE, 1, struct.pack(">h", len(mechanism)) + mechanism)
        if code := struct.unpack_from(">h", answer)[0]:
            return _no_sasl(access, server, code)
        client = ScramClient(str(access.username), str(access.password), access.mechanism)
        client.process_server_first_message(_authenticate(line, client.first_message()))
        client.process_server_final_message(_authenticate(line, client.final_message()))
    except (EOFError, ConnectionError, PermissionError, ValueError, KeyError):
        return not_believed(access, server)
    return None


def not_believed(access: KafkaAccess, where: str) -> Unreachable:
    """Return what is said when the broker, or its proof of knowing the password, is not right."""
    return Unreachable(
        "Kafka does not believe who we are",
        where=where,
        why=f"there is no user {access.who} with this password ({access.mechanism})",
        mend=WHO,
    )


def _authenticate(line: socket.socket, message: bytes) -> bytes:
    answer = _ask(line, SASL_AUTHENTICATE, 0, struct.pack(">i", len(message)) + message)
    code, words = struct.unpack_from(">hh", answer)
    if code:
        raise PermissionError
    (length,) = struct.unpack_from(">i", answer, 4 + max(words, 0))
    start = 8 + max(words, 0)
    return answer[start : start + length]


def _ask(line: socket.socket, api: int, version: int, body: bytes) -> bytes:
    """Send one request and return the body of its answer; EOFError when there is none that is Kafka's."""
    line.settimeout(TRY_SECONDS)
    request = struct.pack(">hhih", api, version, api, -1) + body
    line.sendall(struct.pack(">i", len(request)) + request)
    head = _read(line, 8)
    size, number = struct.unpack(">ii", head)
    if number != api or not 4 <= size <= ANSWER_BYTES_MAX:
        raise EOFError(head)
    return _read(line, size - 4)


def _read(line: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        more = line.recv(size - len(got))
        if not more:
            raise EOFError(got)
        got += more
    return got


def _no_kafka(server: str, error: Exception) -> Unreachable:
    heard = error.args[0] if isinstance(error, EOFError) and error.args else b""
    if heard[:1] and heard[0] in (TLS_ALERT, TLS_HANDSHAKE):
        return Unreachable(
            "this port of Kafka speaks TLS, and we did not",
            where=server,
            why="it answered with a TLS alert",
            mend="set POSTROOM_KAFKA_SECURITY to SASL_SSL (or SSL) and POSTROOM_KAFKA_CA_FILE",
        )
    return Unreachable(
        "what listens there does not answer as Kafka does",
        where=server,
        why="its answer is not Kafka's" if heard else "it ended the line without an answer",
        mend="check POSTROOM_KAFKA and POSTROOM_KAFKA_SECURITY",
    )


def _no_tls(access: KafkaAccess, server: str) -> Unreachable:
    return Unreachable(
        "this port of Kafka does not speak TLS",
        where=server,
        why=f"POSTROOM_KAFKA_SECURITY is {access.security}",
        mend="name the port of Kafka's TLS listener",
    )


def _no_sasl(access: KafkaAccess, server: str, code: int) -> Unreachable:
    if code == UNSUPPORTED_MECHANISM:
        why, mend = (
            f"it does not know {access.mechanism}",
            "set POSTROOM_KAFKA_MECHANISM to one that it knows",
        )
    else:
        why, mend = "it asks for none", "set POSTROOM_KAFKA_SECURITY to SSL, or name its listener for SASL"
    return Unreachable("Kafka does not take a user and a password so", where=server, why=why, mend=mend)

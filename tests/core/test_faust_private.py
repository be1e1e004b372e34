"""The private parts of Faust and aiokafka that the engine uses are as they were when it was tested.

When one of these fails after an upgrade, read the changed function before changing the expectation: what is
at stake is V6, and the flow tests of both shells decide.
"""

import inspect
from importlib.metadata import version

import aiokafka
import faust
import pytest
from aiokafka.consumer.fetcher import Fetcher

from processors.engine import faust_shell
from processors.engine.gathering import FETCHER_ATTRIBUTES


def named():
    return [
        pytest.param(owner, name, signature, id=f"{owner.__name__}.{name}")
        for owner, names in faust_shell.PRIVATE.items()
        for name, signature in names.items()
    ]


def test_the_versions_are_the_pinned_ones():
    """An upgrade begins here, on purpose."""
    found = [version(name) for name in ("faust-streaming", "mode-streaming", "aiokafka")]
    assert found == ["0.15.3", "0.7.1", "0.14.0"]


@pytest.mark.parametrize(("owner", "name", "signature"), named())
def test_a_private_function_has_the_signature_it_had(owner, name, signature):
    """Defined by that very class, with those arguments."""
    assert name in vars(owner)
    found = inspect.signature(vars(owner)[name])
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in found.parameters.values()]
    assert str(inspect.Signature(plain)) == signature


def test_what_the_consumer_is_told_before_its_start_reaches_its_fetcher():
    """Isolation level, least bytes and longest wait are read from these attributes when it starts."""
    source = inspect.getsource(aiokafka.AIOKafkaConsumer.start)
    for attribute in faust_shell.CONSUMER_ATTRIBUTES:
        assert f"={'self.' + attribute}" in source
    assert {"isolation_level", "fetch_min_bytes", "fetch_max_wait_ms"} <= set(
        inspect.signature(Fetcher.__init__).parameters
    )


def test_the_fetcher_reads_for_each_request_how_long_the_broker_gathers():
    """Both are set while it runs."""
    source = inspect.getsource(Fetcher._get_actions_per_node)
    for attribute in FETCHER_ATTRIBUTES:
        assert f"self.{attribute}," in source
        assert f"self.{attribute} = " in inspect.getsource(Fetcher.__init__)
    assert "self._fetcher = Fetcher(" in inspect.getsource(aiokafka.AIOKafkaConsumer)


def test_faust_resumes_the_flow_after_it_called_perform_seek():
    """Our perform_seek does nothing, so nothing may depend on what it did."""
    from faust.tables.recovery import Recovery

    source = inspect.getsource(Recovery._resume_streams)
    assert source.index("consumer.perform_seek()") < source.index("consumer.resume_flow()")


def test_faust_finishes_the_revocation_signal_before_the_group_goes_on():
    """The transactions in flight end inside it."""
    source = inspect.getsource(faust.App._on_partitions_revoked)
    assert "await T(self.on_partitions_revoked.send)(revoked)" in source


def test_the_drain_loop_asks_getmany_and_nothing_else():
    """Which is where the pump is."""
    source = inspect.getsource(faust_shell.AnyConsumer._drain_messages)
    assert "getmany(timeout=1.0)" in source

"""Two workers under one name beside each other (`postroom run --instance`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from postroom.errors import Exit, UserError
from postroom.worker_name import hold_name

HELD = """
import sys, time
from pathlib import Path
from postroom.worker_name import hold_name
hold_name(Path(sys.argv[1]), "one", ("intake", "record"))
print("held", flush=True)
time.sleep(600)
"""


def test_a_second_worker_of_a_name_is_refused_until_the_first_is_gone_however_it_ended(tmp_path: Path):
    """§8: exit 2 with what to do; a killed worker leaves nothing that keeps its successor out."""
    with subprocess.Popen(
        [sys.executable, "-c", HELD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as first:
        try:
            assert first.stdout is not None
            assert first.stdout.readline() == "held\n"
            with pytest.raises(UserError, match="another worker runs record under the name one") as refused:
                hold_name(tmp_path, "one", ("record", "persons"))
            assert refused.value.code is Exit.MISUSE
            assert "--instance" in refused.value.mend
            hold_name(tmp_path, "two", ("record",))
            hold_name(tmp_path, "one", ("identity",))
        finally:
            first.kill()
    hold_name(tmp_path, "one", ("intake", "record", "persons"))

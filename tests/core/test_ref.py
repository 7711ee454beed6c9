from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_threads_that_decode_a_struct_for_the_first_time_at_once_do_not_crash() -> None:
    """By msgspec alone this program ends with a segmentation fault: one thread reads what another is still making."""
    done = subprocess.run([sys.executable, str(Path(__file__).with_name("decoding.py")), "ours"], check=False)
    assert done.returncode == 0

# SPDX-License-Identifier: Apache-2.0
"""A process that is told to end does, whatever it is doing at that moment."""

import os
import signal
import subprocess
import sys
import time

import pytest
from support import ROOT

START = """
import os, signal, sys, time
sys.path.insert(0, {source!r})
from facetell.common.lifetime import signals_end

class Slow:
    def __del__(self):
        say("ready")
        time.sleep(60)  # an exception that is raised here is dropped

class HalfMade:
    def __init__(self):
        say("ready")
        time.sleep(60)
        self.workers = []

    def __del__(self):
        self.workers.clear()

def say(line):
    os.write(1, (line + chr(10)).encode())

with signals_end(say):
    {work}
say("went on")
"""
WORKS = {
    "an exception": 'say("ready"); time.sleep(60)',
    "a dropped exception": "Slow()",
    "a half-made object": "HalfMade()",
    "a handler that is in the way": 'exec("""try:\\n  say("ready"); time.sleep(60)\\n'
    'except BaseException: time.sleep(60)""")',
}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("work", WORKS)
def test_a_signal_ends_whatever_is_done(work):
    code = START.format(source=str(ROOT / "src"), work=WORKS[work])
    command = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        status = process.wait(30)
        assert time.monotonic() - started < 20
        assert process.stdout.read() == "SIGTERM\n"
        said = process.stderr.read()
    if work in ("an exception", "a half-made object"):
        assert "Ended: SIGTERM" in said  # nobody has caught it
        assert "AttributeError" not in said
    else:
        assert (status, said) == (128 + signal.SIGTERM, "")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_what_nohup_ignores_stays_ignored():
    code = START.format(source=str(ROOT / "src"), work="os.kill(os.getpid(), signal.SIGHUP)")
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + code
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "went on\n"

"""What the tests of the Python package share. SWEEP names the binary that they compare it with."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SWEEP = os.path.abspath(os.environ.get("SWEEP", ROOT / "target" / "debug" / "sweep"))


@pytest.fixture(scope="session")
def root():
    """Root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def sweep():
    """Runs the command line in the root of the repository and returns exit code, stdout and stderr."""

    def run(*arguments):
        command = [SWEEP, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch):
    """Paths of tests are those of the repository."""
    monkeypatch.chdir(ROOT)


def pytest_terminal_summary(terminalreporter):
    """A line that scripts/test counts."""
    stats = terminalreporter.stats
    passed = len(stats.get("passed", []))
    failed = len(stats.get("failed", [])) + len(stats.get("error", []))
    word = "FAILED" if failed else "ok"
    terminalreporter.write_line(f"test result: {word}. {passed} passed; {failed} failed")

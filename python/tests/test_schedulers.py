"""What runs a sweep every night: a workflow of GitHub Actions, units of systemd and a line of cron, held against the programs that
read them; and the image of the Dockerfile."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, SWEEP

SCRIPTS = ROOT / "scripts"
WORKFLOW = SCRIPTS / "github/nightly.yml"


def tool(name):
    """A program of this environment."""
    return Path(sys.executable).parent / name


def lint(program, *arguments, text=None):
    command = [str(program), *map(str, arguments)]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_workflow_has_no_faults():
    code, said = lint(tool("actionlint"), "-no-color", WORKFLOW)
    assert code == 0, said
    # The linter sees what is wrong.
    wrong = WORKFLOW.read_text().replace("runs-on: ubuntu-latest", "run-on: ubuntu-latest")
    assert lint(tool("actionlint"), "-no-color", "-", text=wrong)[0] != 0


def test_the_workflow_calls_what_is_there():
    said = WORKFLOW.read_text()
    for path in re.findall(r"(?:scripts|sweeps)/[\w.-]+", said):
        assert (ROOT / path).is_file(), path


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_the_units_are_units_of_systemd(tmp_path):
    for unit in (SCRIPTS / "systemd").iterdir():
        # The folder of the installation is that of this checkout.
        text = unit.read_text().replace("/opt/clustersweep", str(ROOT)).replace("/usr/local/bin/sweep", SWEEP)
        (tmp_path / unit.name).write_text(text)
    units = [tmp_path / "sweep-nightly.service", tmp_path / "sweep-nightly.timer"]
    code, said = lint("systemd-analyze", "verify", "--man=no", *units)
    assert code == 0 and not [line for line in said.splitlines() if "sweep-nightly" in line], said
    (calendar,) = re.findall(r"OnCalendar=(.*)", units[1].read_text())
    assert lint("systemd-analyze", "calendar", calendar)[0] == 0
    units[1].write_text(units[1].read_text().replace("OnCalendar", "OnCalender"))
    assert "OnCalender" in lint("systemd-analyze", "verify", "--man=no", *units)[1]


def test_the_line_of_cron_is_silent_after_a_good_night_and_speaks_after_another(tmp_path):
    (line,) = [line for line in (SCRIPTS / "cron/nightly.cron").read_text().splitlines() if line.startswith("30 1")]
    minute, hour, *days = line.split()[:5]
    assert (minute, hour, days) == ("30", "1", ["*"] * 3)
    # Cron hands the command to sh with every \% as %.
    command = line.split(maxsplit=5)[5].replace("\\%", "%")
    spec = tmp_path / "sweeps/nightly.toml"
    spec.parent.mkdir()
    (tmp_path / "scripts").symlink_to(SCRIPTS)
    good = 'name = "night"\n[grid]\ngpu = "h100-sxm"\nmodel = "gpt3-1.3b"\nnodes = 4\nglobal_batch = 64\n'
    spec.write_text(good)

    def night():
        environment = {**os.environ, "SWEEP": SWEEP, "CLUSTERSWEEP": str(tmp_path)}
        shell = ["/bin/sh", "-c", command]
        return subprocess.run(shell, env=environment, capture_output=True, text=True)

    assert night().stdout == ""
    spec.write_text(good.replace("h100-sxm", "h1000"))
    told = night()
    assert "did you mean" in told.stdout, told


def test_the_dockerfile_has_no_faults():
    code, said = lint(tool("hadolint"), ROOT / "Dockerfile")
    assert code == 0, said
    wrong = (ROOT / "Dockerfile").read_text() + "\nRUN cd /tmp\n"
    assert lint(tool("hadolint"), "-", text=wrong)[0] != 0


def engine():
    """A container engine that answers."""
    for name in ("docker", "podman"):
        if shutil.which(name) and subprocess.run([name, "info"], capture_output=True).returncode == 0:
            return name
    return None


@pytest.mark.skipif(engine() is None, reason="no container engine")
def test_the_image_answers():
    name = engine()
    build = subprocess.run([name, "build", "--tag", "clustersweep-test", str(ROOT)], capture_output=True, text=True)
    assert build.returncode == 0, build.stderr
    said = subprocess.run([name, "run", "--rm", "clustersweep-test", "--version"], capture_output=True, text=True)
    assert said.stdout.startswith("sweep "), said.stderr

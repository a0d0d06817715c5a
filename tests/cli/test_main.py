"""The command line as a whole."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

from unitape.cli import COMMANDS


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_of_every_command_teaches_with_examples(run, command):
    done = run(command, "--help")
    assert done.status == 0
    assert "Examples:" in done.out
    assert f"unitape {command}" in done.out.split("Examples:")[1]
    assert "VENUE" not in done.out.split("Examples:")[1], "examples name a venue that is installed"
    assert max(map(len, done.lines)) <= 120


def test_the_first_help_names_every_command_and_where_to_start(run):
    done = run()
    assert done.status == 0
    assert all(command in done.out for command in COMMANDS)
    assert "unitape demo" in done.out


def test_the_version_is_the_distributions(run):
    assert run("--version").out == f"unitape {importlib.metadata.version('unitape')}\n"


def test_an_unknown_command_is_a_wrong_call(run):
    done = run("dance")
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert "dance" in done.err
    assert "--help" in done.err


def test_ctrl_c_ends_with_130(run, monkeypatch, toy):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("unitape.cli.decode.run", interrupted)
    assert run("decode", "--venue", "pebble", "--market", "spot").status == 130


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "unitape", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[0]) == (0, "unitape")


def test_help_loads_nothing_heavy():
    program = (
        "import sys; from unitape.cli import main; main(['--help']); main(['decode', '--help']);"
        "print([m for m in ('rich', 'aiohttp', 'websockets', 'google.protobuf', 'asyncio', 'vcr') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"

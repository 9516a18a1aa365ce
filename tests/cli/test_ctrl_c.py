"""Ctrl-C at any moment is exit 130 and one line, while things are still being imported too."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from aliaug_edge.cli.app import ErrorBoundary
from aliaug_edge.errors import MissingDependencyError

# The process interrupts itself when the module that is named first is about to be imported.
CHILD = """
import os, signal, sys
module = sys.argv.pop(1)
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from aliaug_edge.cli import main
main()
"""


@pytest.mark.parametrize(
    "module",
    [
        "aliaug_edge.cli.app",
        "typer",
        "aliaug_edge.cli.train",
        "numpy",
        "PIL.Image",
        "aliaug_edge.generation.run",
        "onnxruntime",
    ],
)
def test_ctrl_c_during_an_import_is_one_line(module, tmp_path):
    arguments = ["generate", "tiny", "--out", str(tmp_path / "out"), "-n", "1"]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, module, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
    assert not (tmp_path / "out").exists()


def test_ctrl_c_in_a_compiled_import_is_no_missing_dependency():
    """Such a module turns the interrupt into an ImportError, which then becomes one of ours."""
    app = typer.Typer(cls=ErrorBoundary)
    app.callback()(lambda: None)

    @app.command()
    def work() -> None:
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as interrupt:
                raise ImportError("initialization failed") from interrupt
        except ImportError as error:
            raise MissingDependencyError("cannot be imported; run: ali-aug doctor") from error

    done = CliRunner().invoke(app, ["work"])
    assert (done.exit_code, done.stderr) == (130, "interrupted\n")


def test_importing_the_entry_point_loads_nothing_else():
    code = "import sys; from aliaug_edge.cli import main; print('typer' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

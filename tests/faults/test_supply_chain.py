"""Nothing here runs what others send: no pickles, no eval, no unsafe YAML, no shell.

What is installed is looked at by ``python tests/faults/report.py audit`` (pip-audit).
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bluesky_diffractogram

PACKAGE = Path(bluesky_diffractogram.__file__).parent
ROOT = Path(__file__).parents[2]
# Where somebody asked for it, with --allow-pickle.
ALLOWED = {("transport/wire.py", "_value", "pickle.loads")}
RUNS_CODE = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.execvp", "os.spawnv", "pty.spawn",
    "pickle.load", "pickle.loads", "pickle.Unpickler", "dill.load", "dill.loads", "cloudpickle.load",
    "cloudpickle.loads", "joblib.load", "marshal.load", "marshal.loads", "shelve.open", "yaml.unsafe_load",
    "yaml.full_load", "yaml.unsafe_load_all", "yaml.full_load_all",
    "subprocess.getoutput", "subprocess.getstatusoutput",
    "code.interact", "runpy.run_path", "runpy.run_module", "tempfile.mktemp",
    "pandas.read_pickle", "numpy.fromstring",
}  # fmt: skip
SAFE_LOADERS = {"SafeLoader", "CSafeLoader", "BaseLoader"}


class Findings(ast.NodeVisitor):
    """Calls that may run what they are given, as ``(function, call)``."""

    def __init__(self, source):
        self.found, self._functions, self._names = [], ["<module>"], {}
        tree = ast.parse(source)
        self._safe = SAFE_LOADERS | {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and any(_last(base) in SAFE_LOADERS for base in node.bases)
        }
        self.visit(tree)

    def visit_Import(self, node):
        for each in node.names:
            self._names[each.asname or each.name.partition(".")[0]] = (
                each.name if each.asname else each.name.partition(".")[0]
            )

    def visit_ImportFrom(self, node):
        for each in node.names:
            self._names[each.asname or each.name] = f"{node.module}.{each.name}"

    def visit_FunctionDef(self, node):
        self._functions.append(node.name)
        self.generic_visit(node)
        self._functions.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Call(self, node):
        name = self._name(node.func)
        keywords = {each.arg: each.value for each in node.keywords}
        shell = keywords.get("shell")
        pickles = keywords.get("allow_pickle")
        if name in RUNS_CODE:
            self._add(name)
        elif name in ("yaml.load", "yaml.load_all"):
            loader = keywords.get("Loader", node.args[1] if len(node.args) > 1 else None)
            if loader is None or _last(loader) not in self._safe:
                self._add(f"{name} without a safe loader")
        elif shell is not None and not (isinstance(shell, ast.Constant) and shell.value is False):
            self._add(f"{name}(shell=…)")
        elif name == "numpy.load" and not (isinstance(pickles, ast.Constant) and pickles.value is False):
            self._add("numpy.load without allow_pickle=False")
        self.generic_visit(node)

    def _name(self, node):
        if isinstance(node, ast.Attribute):
            return f"{self._name(node.value)}.{node.attr}"
        return self._names.get(node.id, node.id) if isinstance(node, ast.Name) else "?"

    def _add(self, what):
        self.found.append((self._functions[-1], what))


def _last(node):
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "?")


def modules():
    """What is installed, and what users copy."""
    return [(top, path) for top in (PACKAGE, ROOT / "profile_examples") for path in sorted(top.rglob("*.py"))]


def calls_that_run_code():
    """``(file, function, call)`` for all calls that may run what they are given."""
    return {
        (str(path.relative_to(top)), function, what)
        for top, path in modules()
        for function, what in Findings(path.read_text()).found
    }


def test_nothing_in_the_package_or_the_profiles_runs_what_it_is_given():
    assert calls_that_run_code() == ALLOWED


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.loads(b)", "from pickle import load as l\nl(f)", "import pickle as p\np.Unpickler(f)",
        "import yaml\nyaml.load(t)", "import yaml\nyaml.load(t, Loader=yaml.Loader)",
        "from yaml import load\nload(t, 1)",
        "eval(x)", "exec(x)", "import os\nos.system(x)", "import subprocess\nsubprocess.run(x, shell=True)",
        "import subprocess as s\ns.Popen(x, shell=flag)", "import numpy as np\nnp.load(p)",
        "import numpy as np\nnp.load(p, allow_pickle=True)", "def f():\n    def g():\n        eval(x)",
    ],
)  # fmt: skip
def test_the_check_finds_what_it_is_to_find(code):
    assert Findings(code).found


def test_the_check_passes_what_is_safe():
    code = (
        "import yaml, numpy\nclass L(yaml.SafeLoader): ...\nyaml.load(t, Loader=L)\nnumpy.load(p, allow_pickle=False)"
    )
    assert Findings(code).found == []

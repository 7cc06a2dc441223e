"""A process imports a user's code from one tree: measured in processes of their own."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bench.process.source_tree import SourceTree

ASK = """\
import sys
from bench.process.source_tree import import_from_tree, present_tree
import_from_tree()
IMPORTS
print(acme.__file__, statistics.__file__)
print(present_tree().strays(list(sys.modules.items())))
"""


@pytest.fixture
def trees(tmp_path):
    """The same package in the working tree and in a checkout, each beside a stray statistics.py."""
    for name in ("working", "base"):
        package = tmp_path / name / "src" / "acme"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (tmp_path / name / "src" / "statistics.py").write_text("raise RuntimeError('stray')")
    return tmp_path / "working", tmp_path / "base"


def ask(tree, *path, ask_for="import acme, statistics"):
    variables = {**os.environ, **tree.variables()}
    variables["PYTHONPATH"] = os.pathsep.join([*map(str, path), os.environ.get("PYTHONPATH", ".")])
    done = subprocess.run(
        [sys.executable, "-P", "-c", ASK.replace("IMPORTS", ask_for)],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_its_own_tree_comes_before_links_copies_and_after_the_library(trees, tmp_path):
    working, base = trees
    copy = tmp_path / "site-packages"
    (copy / "acme").mkdir(parents=True)
    (copy / "acme" / "__init__.py").write_text("raise RuntimeError('a copy')")
    found, strays = ask(SourceTree(base, (base / "src",), working), copy)
    acme, statistics = found.split()

    assert acme == str(base / "src" / "acme" / "__init__.py")
    assert statistics == sys.modules["statistics"].__file__
    assert strays == "[]"


def test_a_package_without_init_comes_before_an_installed_copy_of_it(trees, tmp_path):
    working, base = trees
    (base / "src" / "acme" / "__init__.py").unlink()
    (base / "src" / "acme" / "nets.py").write_text("")
    copy = tmp_path / "site-packages" / "acme"
    copy.mkdir(parents=True)
    (copy / "__init__.py").write_text("")
    ask_for = "import acme.nets as acme, statistics"

    found, _ = ask(SourceTree(base, (base / "src",), working, "acme"), copy.parent, ask_for=ask_for)
    assert found.split()[0] == str(base / "src" / "acme" / "nets.py")


def test_a_link_into_the_working_tree_is_led_into_the_checkout(trees):
    working, base = trees
    (working / "src" / "statistics.py").unlink()
    (base / "src" / "statistics.py").unlink()
    found, _ = ask(SourceTree(base, (), working), working / "src")

    assert found.split()[0] == str(base / "src" / "acme" / "__init__.py")


def test_an_environment_inside_the_working_tree_is_left_where_it_is(trees):
    working, base = trees
    tree = SourceTree(base, (), working)
    packages = str(working / ".venv" / "lib" / "python3" / "site-packages")

    assert tree.led([packages, str(working / "src"), "/elsewhere", ""]) == [
        *(packages, str(base / "src"), "/elsewhere", ""),
    ]


def test_modules_of_the_working_tree_are_strays_in_a_checkout(trees):
    working, base = trees
    modules = {
        "acme": base / "src" / "acme" / "__init__.py",
        "far": working / "lib" / "far.py",
        "torch": working / ".venv" / "site-packages" / "torch.py",
        "bench.x": working / "bench" / "x.py",
    }
    found = [(name, SimpleNamespace(__file__=str(path))) for name, path in modules.items()]
    found.append(("built_in", SimpleNamespace()))

    assert SourceTree(base, (), working).strays(found) == [f"far ({working}/lib/far.py)"]
    assert SourceTree(working, (), working).strays(found) == []

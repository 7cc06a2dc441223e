"""Where a factory of the user's stands, and how each revision's worker has to import it."""

from pathlib import Path

import pytest

from bench.errors import SpecError
from bench.gate.own_model import own_model


def layout(root: Path, *files: str) -> Path:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return root.resolve()


@pytest.mark.parametrize(
    ("files", "address", "module", "root"),
    [
        (["src/acme/__init__.py", "src/acme/m.py"], "src/acme/m.py:f", "acme.m:f", "src"),
        (["src/acme/__init__.py", "src/acme/m.py"], "acme.m:f", "acme.m:f", "src"),
        (["src/acme/m.py"], "src/acme/m.py:f", "acme.m:f", "src"),
        (["src/acme/__init__.py"], "acme:f", "acme:f", "src"),
        (
            ["acme/__init__.py", "acme/nets/__init__.py", "acme/nets/m.py"],
            "acme.nets.m:f",
            *("acme.nets.m:f", "."),
        ),
        (["a/src/acme/m.py"], "a/src/acme/m.py:f", "acme.m:f", "a/src"),
        (["m.py"], "m.py:f", "m.py:f", "."),
        (["m.py"], "m:f", "m.py:f", "."),
        (["tools/m.py"], "tools/m.py:f", "tools/m.py:f", "tools"),
        (["bench/__init__.py", "bench/m.py"], "bench/m.py:f", "bench/m.py:f", "bench"),
        (["my-nets/__init__.py", "my-nets/m.py"], "my-nets/m.py:f", "my-nets/m.py:f", "my-nets"),
    ],
)
def test_a_package_is_imported_and_a_file_executed(tmp_path, files, address, module, root):
    tree = layout(tmp_path, *files)
    subject = own_model(address, tree, tree).subject(tree)

    assert subject.model == module
    assert subject.imports is not None
    assert subject.imports.roots[0] == tree / root
    assert subject.absent == ""


def test_one_address_wherever_it_is_given(tmp_path):
    tree = layout(tmp_path, "src/acme/__init__.py", "src/acme/m.py")
    folder = tree / "src" / "acme"
    found = [
        own_model(address, tree, where).address
        for address, where in [
            ("src/acme/m.py:f", tree),
            ("acme.m:f", tree),
            ("m.py:f", folder),
            (f"{folder}/m.py:f", tree),
        ]
    ]

    assert set(found) == {"src/acme/m.py:f"}


def test_a_revision_without_it_says_so(tmp_path):
    head = layout(tmp_path / "head", "src/acme/m.py")
    base = layout(tmp_path / "base", "src/acme/other.py")

    assert own_model("acme.m:f", head, head).subject(base).absent == "there is no src/acme/m.py"


@pytest.mark.parametrize("address", ["mlp", "m.py", ":f", "other.py:f", "../far.py:f", "json:load"])
def test_what_is_not_there_is_refused(tmp_path, address):
    tree = layout(tmp_path / "tree", "m.py")
    layout(tmp_path, "far.py")
    with pytest.raises(SpecError, match=r"write (its path|path/to/file\.py:factory)"):
        own_model(address, tree, tree)

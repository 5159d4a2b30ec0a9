# SPDX-License-Identifier: Apache-2.0
"""Where a module's code comes from, and what identifies it."""

from __future__ import annotations

from pathlib import Path

import pytest

from adiabit.errors import UserError
from adiabit.train.data import Source
from adiabit.train.models import build
from adiabit.train.source import Reference, digest, load
from adiabit.train.topology import ModelConfig

NET = """
from torch import nn
from parts import WIDTH

class Net(nn.Sequential):
    def __init__(self, width=WIDTH):
        super().__init__(nn.Flatten(), nn.Linear(width, 2))

def make():
    return Net()

LIMIT = 3
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "parts.py").write_text("from inner.deep import WIDTH\n")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/__init__.py").write_text("")
    (tmp_path / "inner/deep.py").write_text("WIDTH = 36\n")
    (tmp_path / "unused.py").write_text("")
    return tmp_path


def model(place: Path, name: str = "net.py:Net", **keys: object) -> ModelConfig:
    return ModelConfig.model_validate({"module": str(place / name), **keys})


def test_the_sources_are_the_file_and_what_it_imports_beside_it(place: Path) -> None:
    found = Reference.of(f"{place}/net.py:Net").sources
    assert [str(path.relative_to(place)) for path in found] == [
        "inner/__init__.py", "inner/deep.py", "net.py", "parts.py",
    ]  # fmt: skip


def test_an_edit_of_any_source_changes_the_digest(place: Path) -> None:
    seen = {digest(model(place)), digest(model(place, arguments={"width": 3}))}
    for name in ("net.py", "parts.py", "inner/deep.py"):
        (place / name).write_text((place / name).read_text() + "\n")
        seen.add(digest(model(place)))
    assert len(seen) == 5
    before = digest(model(place))
    (place / "unused.py").write_text("x = 1\n")
    assert digest(model(place)) == before
    assert digest(ModelConfig()) == ""


def test_an_edited_file_is_imported_anew_with_what_it_imports(place: Path) -> None:
    assert load(Reference.of(f"{place}/net.py:Net"))()[1].in_features == 36
    (place / "inner/deep.py").write_text("WIDTH = 9  # edited\n")
    assert load(Reference.of(f"{place}/net.py:Net"))()[1].in_features == 9


def test_a_function_and_an_importable_module_are_taken_too(place: Path) -> None:
    source = Source((6, 6, 1), 2)
    assert build(model(place, "net.py:make"), "ste", 0.0, source).frame == (6, 6, 1)
    found = ModelConfig(module="tests.train.own_networks:PlainCnn")
    assert found.title == "tests.train.own_networks:PlainCnn"
    reference = Reference.of("tests.train.own_networks:PlainCnn")
    assert reference.file.name == "own_networks.py"
    assert load(reference)(1, 3)[-1].out_features == 3


def test_flat_frames_are_declared_by_the_module(place: Path) -> None:
    (place / "net.py").write_text("from torch import nn\nclass Net(nn.Linear):\n flat = True\n"
                                  " def __init__(self): super().__init__(36, 2)\n")  # fmt: skip
    assert build(model(place), "ste", 0.0, Source((6, 6, 1), 2)).frame == (36,)


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        (NET, "gone.py:Net", "{p}/gone.py: No such file or directory; give the path of a Python file, relative to the"),
        (NET, "net.py:Nett", "{p}/net.py:Nett: no class or function 'Nett'; did you mean 'Net'?"),
        (NET, "net.py:Q", "{p}/net.py:Q: no class or function 'Q'; it defines ['Net', 'make']; it must be a class or"),
        (NET, "net.py:LIMIT", "{p}/net.py:LIMIT: LIMIT is a int; it must be a class or a function that returns an nn."),
        ("x = (", "net.py:Net", "{p}/net.py:Net: SyntaxError in line 1 of net.py: '(' was never closed"),
        ("\nraise OSError('no')", "net.py:Net", "{p}/net.py:Net: OSError in line 2 of net.py: no"),
        ("import nosuch", "net.py:Net", "{p}/net.py:Net: ModuleNotFoundError in line 1 of net.py: No module named 'no"),
        ("def Net():\n return 3", "net.py:Net", "{p}/net.py:Net: returned a int; it must be a class or a function tha"),
        ("def Net():\n return 1 / 0", "net.py:Net", "{p}/net.py:Net(): ZeroDivisionError in line 2 of net.py: divisio"),
        ("", "no.such.thing:Net", "module 'no.such.thing': Python finds no such module; install it, or give the path"),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_told_in_one_line(tmp_path: Path, text: str, name: str, told: str) -> None:
    (tmp_path / "net.py").write_text(text.replace("from parts import WIDTH", "WIDTH = 36"))
    reference = f"{tmp_path}/{name}" if ".py:" in name else name
    with pytest.raises(UserError) as caught:
        build(ModelConfig(module=reference), "ste", 0.0, Source((6, 6, 1), 2))
    assert str(caught.value).startswith(told.format(p=tmp_path))


def test_arguments_that_do_not_fit_are_told(place: Path) -> None:
    with pytest.raises(UserError, match=r"net.py:Net\(with=3\): TypeError.* unexpected keyword argument 'with'"):
        build(model(place, arguments={"with": 3}), "ste", 0.0, Source((6, 6, 1), 2))

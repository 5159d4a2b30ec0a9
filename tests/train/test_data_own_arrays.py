# SPDX-License-Identifier: Apache-2.0
"""One's own arrays, tables and functions: what is read, how it becomes bytes, and what is told of bad ones."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adiabit.errors import UserError
from adiabit.flows.recipe import load
from adiabit.legend import Encoding
from adiabit.train import data
from adiabit.train.data import DATASETS, own
from tests.train.own_files import ODD, bars, table


def config(folder: Path, kind: str, **keys: Any) -> Any:
    return DATASETS.validate({"dataset": kind, "dir": folder, **keys})


def keras(path: Path, **changes: Any) -> None:
    """An archive like Keras' mnist.npz."""
    (x, y), (u, v) = bars(40), bars(20, seed=1)
    arrays = {"x_train": x, "y_train": y, "x_test": u, "y_test": v, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


# Arrays


def test_archives_and_files_hold_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    keras(tmp_path / "a/some.npz")
    with np.load(tmp_path / "a/some.npz") as archive:
        for name in archive.files:
            np.save(tmp_path / "b" / f"{name}.npy", archive[name])
    first, second = (data.load(config(tmp_path / name, "arrays")) for name in "ab")
    base: Any = second.train.stored
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base, mmap.mmap)  # not read into memory
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(first, part).frames, getattr(second, part).frames)
    assert first.test.frames.shape == (20, 9, 7, 1)
    assert config(tmp_path / "b", "arrays").source == data.Source((9, 7, 1), 2)
    assert config(tmp_path / "b", "arrays").legend.names == ("0", "1")
    assert data.digest(config(tmp_path / "a", "arrays")) != data.digest(config(tmp_path / "b", "arrays"))


@pytest.mark.parametrize(("shape", "source"), [((13,), (1, 13, 1)), ((6, 5), (6, 5, 1)), ((6, 5, 3), (6, 5, 3))])
def test_shapes_and_a_share(tmp_path: Path, shape: tuple[int, ...], source: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).integers(0, 256, (50, *shape), np.uint8)
    np.savez_compressed(tmp_path / "a.npz", x=x, y=np.arange(50).reshape(-1, 1) % 5)
    dataset = data.load(config(tmp_path, "arrays"))
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [35, 5, 10]
    assert config(tmp_path, "arrays").source == data.Source(source, 5)
    rows = np.concatenate([split.rows for split in (dataset.train, dataset.validation, dataset.test)])
    assert sorted(rows.tolist()) == list(range(50))
    assert np.array_equal(dataset.test.frames, x.reshape(-1, *source)[dataset.test.rows])


def test_int8_is_128_greater_and_the_legend_says_so(tmp_path: Path) -> None:
    x = np.arange(-128, 128).astype(np.int8).reshape(16, 16)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(16) % 2)
    table = config(tmp_path, "arrays", test=0.5)
    train, _ = table.splits()
    assert np.array_equal(train.stored.reshape(16, 16).astype(int), x.astype(int) + 128)
    assert np.array_equal(table.legend.encoding.encode(x), train.stored.reshape(16, 16))
    keras(tmp_path / "a.npz")
    assert config(tmp_path, "arrays").legend.encoding is None


def test_names_and_texts(tmp_path: Path) -> None:
    keras(tmp_path / "a.npz", names=np.array(["row", "column"]))
    assert config(tmp_path, "arrays").legend.names == ("row", "column")
    assert config(tmp_path, "arrays", names=["r", "c"]).legend.names == ("r", "c")
    texts = np.array(["zebra", "10"])
    keras(tmp_path / "a.npz", y_train=texts[bars(40)[1]], y_test=texts[bars(20)[1]])
    table = config(tmp_path, "arrays")
    assert table.legend.names == ("10", "zebra")
    assert table.splits()[0].labels.tolist() == [1, 0] * 20
    numbers = np.array(["2", "10"])
    keras(tmp_path / "a.npz", y_train=numbers[bars(40)[1]], y_test=numbers[bars(20)[1]])
    assert config(tmp_path, "arrays").legend.names == ("2", "10")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"x_train": np.zeros((40, 9), np.float32)}, "x_train: frames are of float32; bytes are needed, uint8 or int8"),
        ({"x_train": np.full((40, 9), np.nan)}, "frames are of float64; bytes are needed"),
        ({"x_train": np.zeros((40, 9), int)}, "frames are of int64; bytes are needed"),
        ({"x_train": np.array([{}] * 40)}, "x_train: holds Python objects, which are not read"),
        ({"y_train": np.array([None] * 40)}, "y_train: holds Python objects, which are not read"),
        ({"x_train": np.zeros(40, np.uint8)}, "frames have shape (40,); (N, features), (N, H, W) or (N, H, W, C)"),
        ({"x_train": np.zeros((40, 0), np.uint8)}, "frames have shape (40, 0)"),
        (
            {"x_test": np.zeros((20, 9, 6), np.uint8)},
            "x_test: frames are uint8 (9, 6, 1), those of x_train uint8 (9, 7, 1)",
        ),
        ({"x_test": np.zeros((20, 9, 7), np.int8)}, "x_test: frames are int8 (9, 7, 1), those of x_train uint8"),
        ({"y_train": np.zeros(39, int)}, "y_train: labels have shape (39,) for 40 frames"),
        ({"y_train": np.eye(40)}, "y_train: labels are of float64; whole numbers from 0, or texts, are needed"),
        ({"y_train": np.full(40, -1)}, "labels are -1 to 1; they must be 0 to 1; number the classes from 0"),
        (
            {"y_train": np.arange(40) % 2 + 1, "y_test": np.arange(20) % 2 + 1},
            "class '0' has no frames in the training",
        ),
        ({"y_test": np.zeros(20, int)}, "class '1' has no frames in the test split"),
        ({"y_train": np.zeros(40, int), "y_test": np.zeros(20, int)}, "one class, '0'; at least two are needed"),
        ({"y_train": np.full(40, 10**9)}, "labels reach 1000000000; at most 10,000 classes are possible"),
        ({"y_test": None}, "no array y_test; x_train, y_train, x_test and y_test are needed, or x and y; found: ["),
        ({"names": np.array(["a", "b", "b"])}, "class name 'b': is there twice; rename the class"),
        ({"names": np.array(["a"])}, "labels are 0 to 1; they must be 0 to 0 by [data] names"),
        ({"names": np.array([["a", "b"]])}, "names: <U1 of shape (1, 2); a row of texts is needed"),
    ],
)
def test_arrays_that_cannot_be(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    keras(tmp_path / "a.npz", **changes)
    with pytest.raises(UserError) as caught:
        _ = config(tmp_path, "arrays").legend, data.load(config(tmp_path, "arrays"))
    assert text in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_archives_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no .npz file and no x.npy; name the one to read by"):
        data.load(config(tmp_path, "arrays"))
    keras(tmp_path / "a.npz")
    keras(tmp_path / "b.npz")
    with pytest.raises(UserError, match=r"2 .npz files, e.g. a.npz; name the one to read by \[data\] file"):
        data.load(config(tmp_path, "arrays"))
    assert len(data.load(config(tmp_path, "arrays", file="b.npz")).test) == 20
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:500])
    with pytest.raises(UserError, match=r"b.npz: damaged, or no archive \(.*\); save it with np.save"):
        data.load(config(tmp_path, "arrays", file="b.npz"))
    monkeypatch.setattr("adiabit.train.data.arrays.ROOM", 1000)
    with pytest.raises(
        UserError, match=r"x_train: 0.0 GB; at most .* are read into memory; save it as a file .npy of uint8"
    ):
        data.load(config(tmp_path, "arrays", file="a.npz"))


def test_a_header_that_announces_terabytes_allocates_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 4), np.int8))
    np.save(tmp_path / "y.npy", np.arange(4))
    content = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(content.replace(b"(4, 4), }          ", b"(4, 99999999999), }", 1))
    with pytest.raises(UserError, match=r"x.npy: 400.0 GB; at most"):
        config(tmp_path, "arrays").splits()


# Tables


def write(path: Path, *lines: str) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


ROWS = tuple(f"{k},{k % 3}.5,{'ab'[k % 2]}" for k in range(20))


def test_ranges_come_from_the_training_split(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "one,two,kind", "0,-1e3,b", "10,1e3,a", "5,0,b")
    write(tmp_path / "test.csv", "one,two,kind", "20,-5e3,a", "2.5,500,b")
    table = config(tmp_path, "csv", validation=0.5)
    train, test = table.splits()
    assert table.legend.names == ("a", "b")
    assert train.labels.tolist() == [1, 0, 1]
    assert train.frames.tolist() == [[0, 0], [255, 255], [128, 128]]  # 127.5 to even
    assert test.frames.tolist() == [[255, 0], [64, 191]]
    assert table.legend.encoding.columns == ("one", "two")
    assert table.source == data.Source((1, 2, 1), 2)


def test_one_file_is_divided(tmp_path: Path) -> None:
    table_ = tmp_path / "wines.csv"
    table(table_, 60, ODD)
    dataset = data.load(config(tmp_path, "csv"))
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [42, 6, 12]
    low = np.concatenate([dataset.train.frames, dataset.validation.frames]).min(axis=0)
    assert (low == 0).all()
    digest = data.digest(config(tmp_path, "csv"))
    table_.write_text(table_.read_text().replace("0", "1", 1))
    assert data.digest(config(tmp_path, "csv")) != digest


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "one,two,kind", *ROWS)
    kept = config(tmp_path, "csv")
    assert kept.legend.names == ("a", "b")
    write(tmp_path / "a.csv", "one,two,kind", *(row.replace("a", "c") for row in ROWS))
    assert kept.legend.names == ("b", "c")


def test_columns_are_chosen(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "\ufeffkind; id ;x", *(f"{'ab'[k % 2]};n{k};{k}" for k in range(20)))
    table = config(tmp_path, "csv", label="kind", ignore=["id"], delimiter=";")
    assert table.legend.encoding.columns == ("x",)
    assert len(table.splits()[1]) == 4


def test_missing_values_and_odd_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.csv", "one,two,kind", *ROWS, "3,NA,a", "3,,b", "3,4", "7,1,", "", "?,1.5,b")
    assert sum(map(len, config(tmp_path, "csv").splits())) == 20
    told = capsys.readouterr().err
    assert f"{tmp_path}/a.csv: 1 of 25 lines have not 3 cells and were left out: line 24\n" in told
    assert f"{tmp_path}/a.csv: 4 of 25 lines lack values and were left out: line 22; line 23; line 25; ...\n" in told
    median = config(tmp_path, "csv", missing="median")
    assert sum(map(len, median.splits())) == 23
    assert "3 missing values became the medians of their columns" in capsys.readouterr().err
    assert len(median.legend.encoding.fill) == 2
    with pytest.raises(UserError, match="line 22: column 'two' has no value; fill it, or set missing ="):
        config(tmp_path, "csv", missing="stop").splits()
    with pytest.raises(UserError, match=r"line 24: 2 cells; the header has 3; mend it"):
        config(tmp_path, "csv", damaged="stop").splits()


def test_constant_columns_and_outliers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.csv", "same,x,kind", *(f"7,{k if k < 99 else 1e9},{'ab'[k % 2]}" for k in range(100)))
    train, _ = config(tmp_path, "csv", outliers=0.02).splits()
    assert "1 of 2 columns are constant in the training split and become 0: 'same'" in capsys.readouterr().err
    assert not train.stored[:, 0].any()
    assert np.unique(train.stored[:, 1]).size > 80
    assert np.unique(config(tmp_path, "csv").splits()[0].stored[:, 1]).size == 2


@pytest.mark.parametrize(
    ("text", "keys", "told"),
    [
        ("", {}, "columns []; a feature and a label are needed"),
        ("a,b\n", {}, "no rows below the header"),
        ("1,2\n3,4\n", {}, "the first line, 1, 2, holds numbers, not the names of the columns"),
        ("a,a\n1,x\n", {}, "column 'a' is there twice; rename one"),
        ("a;b\n1;x\n", {}, "a feature and a label are needed at least; set [data] delimiter"),
        ("a;b\n1;x\n", {"label": "b"}, "no column 'b'; known columns: ['a;b']; the delimiter seems to be ';'"),
        ("a,b\n1,x\n", {"ignore": ["c"]}, "no column 'c'; known columns: ['a', 'b']"),
        ("a,c,b\n1,2,x\n", {"ignore": ["b"], "label": "b"}, "column 'b' is both label and ignored"),
        ("a,b\nred,x\n", {}, "line 2: column 'a' has 'red', which is no finite number; replace it by numbers"),
        ("a,b\n1_0,x\n", {}, "line 2: column 'a' has '1_0', which is no finite number"),
        ("a,b\ninf,x\n", {}, "line 2: column 'a' has 'inf', which is no finite number"),
        ('a,b\n"1,x\n2,y\n', {}, "not a CSV file of UTF-8 text (unexpected end of data)"),
        ("a,b\n1,x\n2,x\n", {}, "one class, 'x'; at least two are needed"),
        ("a,b\n1,x\n2,y\n", {}, "class 'x' has no frames in the test split"),
        ("a,b\n" + "".join(f"{k},{k / 7}\n" for k in range(10_001)), {}, "10,001 different labels, e.g. '0.0'"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be(tmp_path: Path, text: str, keys: dict[str, Any], told: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError) as caught:
        config(tmp_path, "csv", **keys).splits()
    assert told in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_headers_must_be_alike(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "one,two,kind", *ROWS)
    write(tmp_path / "test.csv", "one,too,kind", *ROWS)
    with pytest.raises(
        UserError, match="test.csv: the header has 'too' where train.csv has 'two'; the files must have"
    ):
        config(tmp_path, "csv").splits()
    (tmp_path / "test.csv").unlink()
    write(tmp_path / "other.csv", "one,two,kind", *ROWS)
    with pytest.raises(UserError, match=r"2 .csv files, other.csv, train.csv; train.csv and test.csv are needed"):
        config(tmp_path, "csv").splits()
    (tmp_path / "other.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="other.csv: not a CSV file of UTF-8 text"):
        config(tmp_path, "csv", file="other.csv").splits()


# Functions

LOADER = """
import numpy as np
from helper import SIZE
def load(count=20, dir=None, dtype="uint8"):
    labels = np.arange(count) % 2
    frames = np.repeat(labels[:, None] * 100, SIZE, 1).astype(dtype)
    return (frames, labels), (frames[:4], labels[:4]), ["low", "high"]
def bad(): return 1 / 0
def half(): return load()[0]
def other(): return load()[0], (np.zeros((2, 3), "uint8"), [0, 1])
value = 3
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., Any]:
    (tmp_path / "my_data.py").write_text(LOADER)
    (tmp_path / "helper.py").write_text("SIZE = 5\n")

    def make(dataset: str, more: str = "") -> Any:
        (tmp_path / "own.toml").write_text(f'[data]\ndataset = "{dataset}"\n{more}')
        return load(tmp_path / "own.toml")

    return make


def test_a_function_beside_the_recipe(
    recipe: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    for name in ("my_data:load", "my_data.py:load"):
        made = recipe(name)
        assert made.data.source == data.Source((1, 5, 1), 2)
        assert made.data.legend.names == ("low", "high")
        assert made.model.input_bits == 8
        assert [len(split) for split in made.data.splits()] == [20, 4]
    more = recipe("my_data:load", "arguments = { count = 30, dtype = 'int8' }")
    assert [len(split) for split in more.data.splits()] == [30, 4]
    assert more.data.legend.encoding == own.INT8
    first = data.digest(made.data)
    (tmp_path / "my_data.py").write_text(LOADER.replace("100", "90"))
    assert data.digest(made.data) != first
    second = data.digest(made.data)
    (tmp_path / "helper.py").write_text("SIZE = 6\n")
    assert data.digest(made.data) != second
    assert made.data.source.shape == (1, 6, 1)
    assert made.data.splits()[0].frames.max() == 90  # the same table reads the file anew


def test_a_function_of_an_installed_module(recipe: Callable[..., Any]) -> None:
    made = recipe("tests.train.own_files:bars")
    with pytest.raises(UserError, match=r"own_files:bars\(\): TypeError: bars\(\) missing 1 required"):
        made.data.splits()


@pytest.mark.parametrize(
    ("dataset", "more", "told"),
    [
        ("my_data:gone", "", "my_data.py:gone: no class or function 'gone'; it defines"),
        ("my_data:value", "", "my_data.py:value: value is a int; it must return (train, test)"),
        ("my_data:bad", "", "my_data.py:bad(): ZeroDivisionError in line 8 of my_data.py: division by zero"),
        ("my_data:half", "", "half(): training split: is"),
        (
            "my_data:other",
            "",
            "frames of the test split are uint8 (1, 3, 1), those of the training split uint8 (1, 5, 1)",
        ),
        (
            "my_data:load",
            "arguments = { size = 1 }",
            "load(): TypeError: load() got an unexpected keyword argument 'size'",
        ),
        (
            "my_data:load",
            "arguments = { dtype = 'float64' }",
            "training split: frames are of float64; bytes are needed",
        ),
        ("gone:load", "", "module 'gone': Python finds no such module; install it, or give the path of a Python file"),
        ("gone.py:load", "", "gone.py: No such file or directory; give the path of a Python file"),
    ],
)
def test_functions_that_cannot_be(recipe: Callable[..., Any], dataset: str, more: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        recipe(dataset, more).data.splits()
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_of_functions_are_checked(recipe: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match=r"\[data\]: dataset = ':load': string should match pattern"):
        recipe(":load")
    with pytest.raises(UserError, match=r"\[data\]: size: unknown key"):
        recipe("my_data:load", "size = 3")


# Recipes


def test_own_data_takes_bytes_unless_the_model_says(tmp_path: Path) -> None:
    keras(tmp_path / "a.npz")
    for model, bits in (("", 8), ("[model]\ninput_bits = 1", 1), ('[model]\ntopology = "sfc"', 8)):
        (tmp_path / "own.toml").write_text(f'[data]\ndataset = "arrays"\ndir = "."\n{model}')
        recipe = load(tmp_path / "own.toml")
        assert recipe.model.input_bits == bits
        assert recipe.data.dir == tmp_path
        assert len(recipe.data.splits()[0]) == 40
    (tmp_path / "own.toml").write_text("")
    assert load(tmp_path / "own.toml").model.input_bits == 1


def test_a_digest_of_a_file_that_cannot_be_read_is_no_fault(tmp_path: Path) -> None:
    keras(tmp_path / "a.npz")
    whole = data.digest(config(tmp_path, "arrays"))
    (tmp_path / "a.npz").rename(tmp_path / "b.npz")
    (tmp_path / "x.npy").symlink_to("gone")
    assert data.digest(config(tmp_path, "arrays")) != whole


def test_what_an_encoding_must_be() -> None:
    for row in ({"low": ()}, {"step": (1.0, 2.0)}, {"step": (-1.0,)}, {"low": (float("nan"),)}, {"fill": (1.0, 2.0)}):
        with pytest.raises(ValueError, match="an encoding|of an encoding"):
            Encoding(**{"low": (0.0,), "step": (1.0,), **row})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a value is NaN"):
        Encoding(low=(0.0,), step=(1.0,)).encode(np.array([[np.nan]]))

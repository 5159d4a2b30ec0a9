# SPDX-License-Identifier: Apache-2.0
"""Saves and loads an accelerator: `accelerator.json` holds the structure, `params.npz` the parameters (no pickle)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from enum import Enum
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from adiabit.errors import UserError
from adiabit.hw.accelerator import Accelerator, Meaning
from adiabit.hw.stages import KINDS, Kind, Stage, Stream
from adiabit.legend import NO_LEGEND, Legend

VERSION = 2
JSON, NPZ = "accelerator.json", "params.npz"


def save(accelerator: Accelerator, folder: Path) -> None:
    """Write `accelerator.json` and `params.npz` into an existing folder."""
    document, arrays = _document(accelerator)
    if accelerator.legend != NO_LEGEND:
        document["legend"] = accelerator.legend.document()
    np.savez_compressed(folder / NPZ, **arrays)
    (folder / JSON).write_text(json.dumps(document, indent=1) + "\n")


def digest(accelerator: Accelerator) -> str:
    """A digest of structure, folding and parameters, in sixteen hexadecimal digits.

    The legend is for the host and no part of the circuit.
    """
    document, arrays = _document(accelerator)
    sha = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    for name, values in sorted(arrays.items()):
        sha.update(f"{name}{values.shape}".encode() + values.astype("<i8").tobytes())
    return sha.hexdigest()[:16]


def _document(accelerator: Accelerator) -> tuple[dict[str, Any], dict[str, Any]]:
    """The structure, and the parameters by `stage.field`."""
    stages, arrays = [], {}
    for stage in accelerator.stages:
        stages.append({
            "kind": type(stage).__name__,
            "name": stage.name,
            "inputs": [s.name for s in stage.inputs],
            "outputs": [s.name for s in stage.outputs],
            **stage.fields(),
        })  # fmt: skip
        for field in stage.arrays:
            if (value := getattr(stage, field)) is not None:
                arrays[f"{stage.name}.{field}"] = value
    streams = [dataclasses.asdict(s) for s in accelerator.streams]
    meaning = {"meaning": dataclasses.asdict(accelerator.meaning)} if accelerator.meaning else {}
    return {"version": VERSION, "name": accelerator.name, "streams": streams, "stages": stages, **meaning}, arrays


def load(folder: Path) -> Accelerator:
    """Read an accelerator; `UserError` names the file that is missing, damaged or of another version."""
    path = folder / JSON
    try:
        document = json.loads(path.read_text())
        if document["version"] != VERSION:
            raise UserError(f"{path}: version {document['version']}; this adiabit reads {VERSION}; compile it anew")
        with np.load(folder / NPZ, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        streams = {s["name"]: _stream(s) for s in document["streams"]}
        stages = tuple(_stage(s, streams, arrays) for s in document["stages"])
        return Accelerator(
            name=document["name"], stages=stages, meaning=_meaning(document.get("meaning")),
            legend=Legend.read(document.get("legend", {})),
        )  # fmt: skip
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: not found; `adiabit compile` makes it") from error
    except UserError as error:
        raise error if str(path) in str(error) else UserError(f"{path}: {error}") from error
    except Exception as error:  # json, zipfile, zlib and numpy raise whatever they meet
        raise UserError(f"{folder}: {JSON} or {NPZ} is damaged ({error!r}); compile it anew") from error


def _meaning(fields: dict[str, list[float]] | None) -> Meaning | None:
    return None if fields is None else Meaning(**{name: tuple(map(float, row)) for name, row in fields.items()})


def _stream(fields: dict[str, Any]) -> Stream:
    return Stream(**{**fields, "shape": tuple(fields["shape"]), "kind": Kind(fields["kind"])})


def _stage(fields: dict[str, Any], streams: dict[str, Stream], arrays: dict[str, Any]) -> Stage:
    cls = KINDS[fields["kind"]]
    types = get_type_hints(cls)
    arguments = {
        key: _value(value, types[key]) for key, value in fields.items() if key not in ("kind", "inputs", "outputs")
    }
    for end in ("inputs", "outputs"):
        arguments[end] = tuple(streams[name] for name in fields[end])
    for field in cls.arrays:
        arguments[field] = arrays.get(f"{fields['name']}.{field}")
    return cls(**arguments)


def _value(value: Any, kind: Any) -> Any:
    """A field's value from its JSON, which knows neither tuples nor enums."""
    if isinstance(value, list):
        return tuple(value)
    return kind(value) if isinstance(kind, type) and issubclass(kind, Enum) else value

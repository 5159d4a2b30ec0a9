# SPDX-License-Identifier: Apache-2.0
"""Building distributions as a release does, from what git tracks, and installing them into empty environments."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
Done = subprocess.CompletedProcess[str]
Command = list[str | Path]


def tracked(*places: str) -> list[str]:
    """The files that git tracks below folders of the repository, those that were just added included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *places]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted(name for name in set(found) if (ROOT / name).is_symlink() or (ROOT / name).is_file())


def checkout(folder: Path) -> Path:
    """A copy of the tracked files in a new folder, with their links."""
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        target = folder / name
        if (ROOT / name).is_symlink():
            target.symlink_to((ROOT / name).readlink())
        else:
            target.write_bytes((ROOT / name).read_bytes())
    return folder


def build(source: Path, out: Path) -> tuple[Path, Path]:
    """The sdist and, built of it, the wheel; without downloading anything."""
    command: Command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


def content(archive: Path) -> dict[str, bytes]:
    """The files of a wheel, or those of an sdist without its top folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}
    with tarfile.open(archive) as sdist:
        members = [member for member in sdist.getmembers() if not member.isdir()]
        read = {member.name.partition("/")[2]: sdist.extractfile(member) for member in members}
        return {name: file.read() for name, file in read.items() if file is not None}


class Environment:
    """An empty virtual environment; its programs see neither our environment nor our sources."""

    def __init__(self, folder: Path, python: str | Path = sys.executable) -> None:
        self.folder = folder
        subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
        hidden = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
        kept = {key: value for key, value in os.environ.items() if key not in hidden}
        self.variables = kept | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.defpath}"}

    def install(self, *words: str) -> None:
        """Install by our pip."""
        command: Command = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            self.folder,
            "install",
            "-q",
            "--no-compile",
            *words,
        ]
        done = subprocess.run(command, env=self.variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def run(
        self, program: str, *words: str, cwd: Path | None = None, code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, in its own folder unless told, which must exit with `code`."""
        command: Command = [self.folder / "bin" / program, *words]
        done = subprocess.run(
            command, cwd=cwd or self.folder, env=self.variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

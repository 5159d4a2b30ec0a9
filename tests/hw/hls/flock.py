# SPDX-License-Identifier: Apache-2.0
"""Many accelerators in one C simulation: every beat of every stream of each is compared with the golden model."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from adiabit.flows import toolchain
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import hls
from adiabit.hw.packing import beat_bytes, pack
from adiabit.hw.stages.base import HLS
from tests.hw.rtl.chain import some_frames
from tests.hw.rtl.flock import FRAMES, renamed

RECORDER = """
#include "bnn.hpp"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

namespace hls {
inline std::map<std::string, std::FILE*> files;
inline std::string prefix;
template <class Element, int Lanes>
struct observer<bnn::Beat<Element, Lanes>> {
  static void wrote(const std::string& name, const bnn::Beat<Element, Lanes>& beat) {
    std::FILE*& file = files[prefix + name];
    if (!file) file = std::fopen((prefix + name + ".bin").c_str(), "wb");
    constexpr int width = bnn::Beat<Element, Lanes>::width;
    for (int at = 0; at < width; at += 8) {
      const int high = at + 7 < width ? at + 7 : width - 1;
      std::fputc(static_cast<int>(beat.bits.range(high, at).to_uint()), file);
    }
  }
};
}  // namespace hls
"""
MAIN = """
template <int In, int Out, int InBits, int OutBits, class Top>
void run(const char* prefix, int frames, Top top) {
  hls::prefix = prefix;
  std::FILE* file = std::fopen((std::string(prefix) + "frames").c_str(), "rb");
  for (int frame = 0; frame < frames; frame++) {
    hls::stream<bnn::AxisIn<InBits>> in;
    hls::stream<bnn::AxisOut<OutBits>> out;
    for (int beat = 0; beat < In; beat++) {
      bnn::AxisIn<InBits> word = 0;
      for (int at = 0; at < InBits; at += 8) word.range(at + 7, at) = std::fgetc(file);
      in.write(word);
    }
    top(in, out);
    for (int beat = 0; beat < Out; beat++)
      if (out.read().last != (beat == Out - 1)) std::abort();  // TLAST
  }
  std::fclose(file);
}
"""


def simulate(
    accelerators: Sequence[Accelerator],
    folder: Path,
    frames: int = FRAMES,
    flags: Sequence[str] = ("-std=c++17", "-O0"),
) -> list[str]:
    """By accelerator, the first stream that is not the golden model's; nothing where all are."""
    includes, calls = [], []
    for number, accelerator in enumerate(accelerators):
        named = renamed(accelerator, number)
        hls.emit(named, folder, part="xc7z020clg400-1", clock_mhz=100.0)
        includes.append(f'#include "{named.name}.cpp"\n')
        ends = [accelerator.input, accelerator.output]
        sizes = ", ".join(str(n) for n in (*(s.beats for s in ends), *(8 * beat_bytes(s) for s in ends)))
        calls.append(f'  run<{sizes}>("d{number}_", {frames}, {named.name});\n')
        (folder / f"d{number}_frames").write_bytes(
            pack(accelerator.input, _frames(accelerator, number, frames)).tobytes()
        )
    closing = "  for (auto& [name, file] : hls::files) std::fclose(file);\n"
    program = f"{RECORDER}{''.join(includes)}{MAIN}int main() {{\n{''.join(calls)}{closing}}}\n"
    (folder / "flock.cpp").write_text(program)
    command: list[str | Path] = [
        toolchain.find("g++"), *flags, "-Wno-unknown-pragmas", "-I", folder, "-isystem", HLS / "sim",
        "-isystem", toolchain.ap_types(), "flock.cpp", "-o", "flock",
    ]  # fmt: skip
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-4000:]
    subprocess.run([folder / "flock"], cwd=folder, check=True)
    return [_difference(accelerator, number, folder, frames) for number, accelerator in enumerate(accelerators)]


def _frames(accelerator: Accelerator, number: int, count: int) -> np.ndarray:
    frames: np.ndarray = some_frames(accelerator.input, np.random.default_rng(number), count)
    return frames


def _difference(accelerator: Accelerator, number: int, folder: Path, count: int) -> str:
    for stream, values in golden.stream_values(accelerator, _frames(accelerator, number, count)):
        if (folder / f"d{number}_{stream.name}.bin").read_bytes() != pack(stream, values).tobytes():
            return stream.name
    return ""

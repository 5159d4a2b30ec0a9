// SPDX-License-Identifier: Apache-2.0
//
// Sends saved frames over a chip's serial line and writes the results that come back.
//
//   chip_bench FRAMES RESULTS COUNT IN_BYTES OUT_BYTES DIVIDER
//
// FRAMES holds COUNT frames of IN_BYTES bytes. Exit code 1: no result arrived, or the line broke the protocol.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "Vchip.h"
#include "verilated.h"

namespace {

constexpr int kBits = 10;  // per byte on the line, including start and stop bit

struct Line {
  Vchip& chip;
  int divider;
  std::vector<uint8_t> received;
  int in_bit = 0, in_count = 0, byte = 0;
  bool before = true;

  void cycle(bool rx) {
    chip.rx = rx;
    chip.clk = 0;
    chip.eval();
    chip.clk = 1;
    chip.eval();
    const bool tx = chip.tx;
    if (in_bit == 0) {
      if (before && !tx) {
        in_bit = 1;
        in_count = divider / 2;
        byte = 0;
      }
    } else if (in_count-- == 0) {
      in_count = divider - 1;
      if (in_bit >= 2 && in_bit <= 9) byte |= tx << (in_bit - 2);
      if (in_bit++ == kBits) {
        if (!tx) fail("a byte without a stop bit");
        received.push_back(static_cast<uint8_t>(byte));
        in_bit = 0;
      }
    }
    before = tx;
  }
  void send(uint8_t value) {
    const unsigned bits = value << 1 | 1u << 9;
    for (int i = 0; i < kBits; i++) {
      for (int n = 0; n < divider; n++) cycle(bits >> i & 1);
    }
  }
  [[noreturn]] static void fail(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::exit(1);
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) return 2;
  const size_t count = std::strtoull(argv[3], nullptr, 10), in = std::strtoull(argv[4], nullptr, 10);
  const size_t out = std::strtoull(argv[5], nullptr, 10);
  const int divider = std::atoi(argv[6]);
  std::FILE* source = std::fopen(argv[1], "rb");
  std::FILE* sink = std::fopen(argv[2], "wb");
  if (!source || !sink) Line::fail("a file cannot be opened");

  VerilatedContext context;
  context.randReset(2);
  context.randSeed(1);
  const auto chip = std::make_unique<Vchip>(&context);
  Line line{*chip, divider, {}};
  for (int i = 0; i < 100; i++) line.cycle(true);
  std::vector<uint8_t> frame(in);
  for (size_t n = 0; n < count; n++) {
    if (std::fread(frame.data(), 1, in, source) != in) Line::fail("the file holds fewer frames");
    line.received.clear();
    line.send('F');
    for (const uint8_t value : frame) line.send(value);
    for (long left = 200L * kBits * divider * (in + out) + 1000000; line.received.size() < out; left--) {
      if (left == 0) Line::fail("no result arrived");
      line.cycle(true);
    }
    if (std::fwrite(line.received.data(), 1, out, sink) != out) Line::fail("a result cannot be written");
    for (int i = 0; i < 2 * divider; i++) line.cycle(true);
  }
  if (std::fclose(sink)) Line::fail("a result cannot be written");
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
//
// Runs saved frames through the accelerator and compares the results.
//
//   testbench FRAMES RESULTS [EXPECTED]
//
// FRAMES holds the beats of the frames, each in whole bytes, little endian; EXPECTED holds those of the results.
// The bench writes RESULTS, and RESULTS.json with the number of frames, the seconds they took, and the first beat whose
// TLAST is wrong (-1: none). Exit code 0: all as expected; 1: the line names the first beat that differs; 2: a file
// cannot be read or written.

#include "testbench.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<std::uint8_t>;

[[noreturn]] void fail(const std::string& path) {
  std::perror(path.c_str());
  std::exit(2);
}

Bytes read(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) fail(path);
  Bytes bytes;
  std::uint8_t block[1 << 16];
  while (const std::size_t count = std::fread(block, 1, sizeof block, file)) {
    bytes.insert(bytes.end(), block, block + count);
  }
  if (std::ferror(file)) fail(path);
  std::fclose(file);
  return bytes;
}

void write(const std::string& path, const Bytes& bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file || std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size() || std::fclose(file)) fail(path);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const Bytes frames = read(argv[1]);
  const std::size_t size = std::size_t{kInputBeats} * kInputBytes, count = frames.size() / size;
  Bytes results;
  long wrong_last = -1;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t frame = 0; frame < count; frame++) {
    hls::stream<bnn::AxisIn<8 * kInputBytes>> s_axis;
    hls::stream<bnn::AxisOut<8 * kOutputBytes>> m_axis;
    for (std::size_t beat = 0; beat < kInputBeats; beat++) {
      bnn::AxisIn<8 * kInputBytes> word = 0;
      for (int byte = 0; byte < kInputBytes; byte++) {
        word.range(8 * byte + 7, 8 * byte) = frames[frame * size + beat * kInputBytes + byte];
      }
      s_axis.write(word);
    }
    kAccelerator(s_axis, m_axis);
    for (int beat = 0; beat < kOutputBeats; beat++) {
      const bnn::AxisOut<8 * kOutputBytes> out = m_axis.read();
      for (int byte = 0; byte < kOutputBytes; byte++) {
        results.push_back(static_cast<std::uint8_t>(out.data.range(8 * byte + 7, 8 * byte).to_uint()));
      }
      const bool last = beat == kOutputBeats - 1;
      if ((out.last == 1) != last && wrong_last < 0) wrong_last = static_cast<long>(frame) * kOutputBeats + beat;
    }
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  write(argv[2], results);
  std::printf("%zu frames in %.6f seconds\n", count, seconds);
  char figures[96];
  const int length = std::snprintf(figures, sizeof figures, "{\"frames\": %zu, \"seconds\": %.6f, \"wrong_last\": %ld}\n",
                                   count, seconds, wrong_last);
  write(std::string(argv[2]) + ".json", Bytes(figures, figures + length));
  if (argc > 3) {
    if (wrong_last >= 0) {
      std::printf("beat %ld of the results has a wrong TLAST\n", wrong_last);
      return 1;
    }
    const Bytes expected = read(argv[3]);
    for (std::size_t at = 0; at < results.size(); at++) {
      if (at >= expected.size() || results[at] != expected[at]) {
        std::printf("beat %zu of the results is not as expected\n", at / kOutputBytes);
        return 1;
      }
    }
    if (expected.size() != results.size()) {
      std::printf("%zu bytes of results came, %zu are expected\n", results.size(), expected.size());
      return 1;
    }
  }
  return 0;
}

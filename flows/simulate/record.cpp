// SPDX-License-Identifier: Apache-2.0
//
// The program of the C simulation: the emitted test bench and top, with every beat of every inner stream recorded in a
// file named after the stream in the working folder.

#include ADIABIT_HEADER

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

namespace hls {

struct Files {
  std::map<std::string, std::FILE*> handles;
  std::FILE* at(const std::string& name) {
    std::FILE*& handle = handles[name];
    if (!handle && !(handle = std::fopen((name + ".bin").c_str(), "wb"))) fail(name);
    return handle;
  }
  ~Files() {
    for (const auto& [name, handle] : handles) {
      if (std::fclose(handle)) fail(name);
    }
  }
  [[noreturn]] static void fail(const std::string& name) {
    std::perror(name.c_str());
    std::_Exit(2);
  }
};

inline Files files;

template <class Element, int Lanes>
struct observer<bnn::Beat<Element, Lanes>> {
  static void wrote(const std::string& name, const bnn::Beat<Element, Lanes>& beat) {
    constexpr int width = bnn::Beat<Element, Lanes>::width;
    std::uint8_t bytes[(width + 7) / 8];
    for (int at = 0; at < width; at += 64) {
      std::uint64_t word = beat.bits.range(at + 64 < width ? at + 63 : width - 1, at).to_uint64();
      for (int byte = at / 8; byte < at / 8 + 8 && byte < (width + 7) / 8; byte++, word >>= 8) {
        bytes[byte] = static_cast<std::uint8_t>(word);
      }
    }
    if (std::fwrite(bytes, 1, sizeof bytes, files.at(name)) != sizeof bytes) Files::fail(name);
  }
};

}  // namespace hls

#include ADIABIT_TOP

#include "testbench.cpp"

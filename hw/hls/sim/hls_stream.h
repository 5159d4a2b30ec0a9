// SPDX-License-Identifier: Apache-2.0
#pragma once

// A stand-in for the header of Vitis HLS, for C simulation without Vitis. It is stricter: reading an empty stream, or
// destroying a stream that still holds beats, ends the program.

#include <cstdio>
#include <cstdlib>
#include <queue>
#include <string>

namespace hls {

/// Called for each beat written to a named stream; a bench specializes it to record the beats.
template <class T>
struct observer {
  static void wrote(const std::string&, const T&) {}
};

template <class T, int DEPTH = 0>
class stream {
 public:
  explicit stream(const char* name = "") : name_(name) {}
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;
  ~stream() {
    if (!beats_.empty()) fail("was destroyed with " + std::to_string(beats_.size()) + " beats in it");
  }

  bool empty() const { return beats_.empty(); }
  bool full() const { return false; }
  unsigned size() const { return static_cast<unsigned>(beats_.size()); }

  void write(const T& beat) {
    if (!name_.empty()) observer<T>::wrote(name_, beat);
    beats_.push(beat);
  }
  T read() {
    if (beats_.empty()) fail("was read while it was empty");
    const T beat = beats_.front();
    beats_.pop();
    return beat;
  }
  void read(T& beat) { beat = read(); }
  bool read_nb(T& beat) {
    if (beats_.empty()) return false;
    beat = read();
    return true;
  }
  bool write_nb(const T& beat) {
    write(beat);
    return true;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    std::fprintf(stderr, "stream %s %s\n", name_.c_str(), what.c_str());
    std::exit(3);
  }

  std::string name_;
  std::queue<T> beats_;
};

}  // namespace hls

// SPDX-License-Identifier: Apache-2.0
//
// Streams saved frames through the RTL and records the beats of every stream.
//
//   bench INPUT OUT FRAMES QUIET REST SEED STALLS [WAVES]
//
// INPUT holds the beats of FRAMES frames. OUT receives a file of accepted beats for each stream (0.bin, 1.bin, ...; the
// last is the AXI output port), the cycle of each frame's last output beat (ends.bin), and the counts with the highest
// fill of each FIFO (result.json). The run ends when no stream has moved for QUIET cycles, or for REST cycles once every
// stream has carried all its beats, or when a stream has carried one beat too many. SEED determines the registers'
// contents before reset and, with STALLS = 1, gaps before input beats and stalls of the output.
//
// design.h is generated: ADIABIT_STREAMS(X) lists the streams as X(index, bytes, valid, ready, data).

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "Vdut.h"
#include "Vdut___024root.h"
#include "verilated.h"
#if VM_TRACE_SAIF
#include "verilated_saif_c.h"
using Trace = VerilatedSaifC;
#elif VM_TRACE
#include "verilated_vcd_c.h"
using Trace = VerilatedVcdC;
#endif

#include "design.h"  // kStreams, kBeats, kFifos, kFifoIn, kFifoOut, kInputBytes, kOutputBytes, ADIABIT_STREAMS

namespace {

constexpr int kPort = kStreams;  // the AXI output port is recorded after the streams
constexpr int kReset = 4;        // cycles

struct Random {  // xorshift64
  uint64_t state;
  uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
  }
  bool chance(int of256) { return static_cast<int>(next() >> 32 & 255) < of256; }
};

struct File {
  FILE* handle;
  File(const std::string& path, const char* mode) : handle(std::fopen(path.c_str(), mode)) {
    if (!handle) fail(path);
  }
  File(const File&) = delete;
  ~File() {
    if (std::fclose(handle)) fail("closing a file");
  }
  void write(const void* data, size_t size) {
    if (size && std::fwrite(data, 1, size, handle) != size) fail("writing");
  }
  [[noreturn]] static void fail(const std::string& what) {
    std::perror(what.c_str());
    std::exit(1);
  }
};

struct Stream {
  File file;
  uint64_t all;           // beats of all frames
  uint64_t most;          // beats allowed; one more frame inside the pipeline, because pads start the next one early
  int* unfinished;        // the number of streams that lack beats
  uint64_t accepted = 0;
  uint64_t waiting = 0;   // cycles of valid && !ready
  uint64_t starved = 0;   // cycles of !valid && ready
  int64_t unheld = -1;    // first beat that was withdrawn or changed before it was accepted
  bool valid = false, ready = false, held = false, surplus = false;
  std::vector<uint8_t> buffer, pending;

  Stream(const std::string& path, uint64_t all, uint64_t most, size_t bytes, int* unfinished)
      : file(path, "wb"), all(all), most(most), unfinished(unfinished), pending(bytes) {
    buffer.reserve(1 << 16);
  }
  ~Stream() { file.write(buffer.data(), buffer.size()); }

  template <size_t Bytes>
  bool observe(bool v, bool r, const void* data) {
    const uint8_t* bytes = static_cast<const uint8_t*>(data);
    valid = v;
    ready = r;
    if (held && (!v || std::memcmp(pending.data(), bytes, Bytes)) && unheld < 0) unheld = accepted;
    held = v && !r;
    if (v && r) {
      if (accepted++ < most) {
        buffer.insert(buffer.end(), bytes, bytes + Bytes);
        if (buffer.size() + Bytes >= (1 << 16)) {
          file.write(buffer.data(), buffer.size());
          buffer.clear();
        }
      }
      surplus = accepted > most;
      if (accepted == all) --*unfinished;
      return true;
    }
    if (held) std::memcpy(pending.data(), bytes, Bytes);
    waiting += v;
    starved += r;
    return false;
  }
};

std::vector<uint8_t> read(const char* path, size_t size) {
  std::vector<uint8_t> bytes(size);
  File file(path, "rb");
  if (std::fread(bytes.data(), 1, size, file.handle) != size) File::fail(path);
  return bytes;
}

/// Probabilities of a gap and of a stall, drawn again every 32 cycles: none, some, many, nearly always.
struct Pauses {
  Random random;
  int gap = 0, stall = 0, left = 0;
  void step() {
    if (left-- > 0) return;
    static constexpr int kChance[] = {0, 64, 160, 240};
    gap = kChance[random.next() >> 20 & 3];
    stall = kChance[random.next() >> 20 & 3];
    left = 31;
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 8) return 2;
  const std::string out = argv[2];
  const uint64_t frames = std::strtoull(argv[3], nullptr, 10);
  const uint64_t quiet = std::strtoull(argv[4], nullptr, 10), rest = std::strtoull(argv[5], nullptr, 10);
  const int seed = std::atoi(argv[6]);
  const bool stalls = std::atoi(argv[7]);
  const uint64_t offers = frames * kBeats[0];
  const std::vector<uint8_t> input = read(argv[1], offers * kInputBytes);

  int unfinished = kStreams + 1;
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i <= kStreams; i++) {
    const int net = i < kStreams ? i : kStreams - 1;
    const std::string path = out + "/" + std::to_string(i) + ".bin";
    const uint64_t all = frames * kBeats[net], most = all + (i < kStreams) * kBeats[net];
    streams.push_back(std::make_unique<Stream>(path, all, most, kBytes[net], &unfinished));
  }

  VerilatedContext context;
  context.randReset(2);
  context.randSeed(seed);
  const auto dut = std::make_unique<Vdut>(&context);
#if VM_TRACE
  Trace trace;
  if (argc > 8) {
    context.traceEverOn(true);
    dut->trace(&trace, 99);
    trace.open(argv[8]);
  }
#endif
  const auto half = [&](bool clock) {
    dut->clk_i = clock;
    dut->eval();
#if VM_TRACE
    if (trace.isOpen()) trace.dump(context.time());
    context.timeInc(5000);
#endif
  };

  dut->rst_ni = 0;
  dut->s_axis_tvalid = 0;
  dut->m_axis_tready = 0;
  for (int i = 0; i < kReset; i++) {
    half(false);
    half(true);
  }
  dut->rst_ni = 1;

  Pauses pauses{{0x9E3779B97F4A7C15ull ^ static_cast<uint64_t>(seed)}};
  std::vector<uint64_t> ends;
  std::vector<uint64_t> waiting(kStreams), starved(kStreams);  // up to the last output beat
  std::vector<uint64_t> peaks(kFifos);  // the highest fill of each FIFO
  uint64_t offered = 0, first = 0, moved = 0, cycle = 0;
  int64_t wrong_last = -1;
  bool surplus = false;
  const auto start = std::chrono::steady_clock::now();
  for (; cycle - moved <= (unfinished ? quiet : rest) && !surplus && !context.gotFinish(); cycle++) {
    if (stalls) pauses.step();
    if (!dut->s_axis_tvalid && offered < offers && !(stalls && pauses.random.chance(pauses.gap))) {
      dut->s_axis_tvalid = 1;
      std::memcpy(&dut->s_axis_tdata, &input[offered * kInputBytes], kInputBytes);
    }
    dut->m_axis_tready = !(stalls && pauses.random.chance(pauses.stall));
    half(false);

    bool any = false;
#define ADIABIT_OBSERVE(index, bytes, valid, ready, data) \
  any |= streams[index]->observe<bytes>(dut->rootp->valid, dut->rootp->ready, &dut->rootp->data); \
  surplus |= streams[index]->surplus;
    ADIABIT_STREAMS(ADIABIT_OBSERVE)
    for (int i = 0; i < kFifos; i++) {
      peaks[i] = std::max(peaks[i], streams[kFifoIn[i]]->accepted - streams[kFifoOut[i]]->accepted);
    }
    Stream& port = *streams[kPort];
    if (port.observe<kOutputBytes>(dut->m_axis_tvalid, dut->m_axis_tready, &dut->m_axis_tdata)) {
      const bool last = port.accepted % kBeats[kStreams - 1] == 0;
      if (last != static_cast<bool>(dut->m_axis_tlast) && wrong_last < 0) wrong_last = port.accepted - 1;
      if (last) {
        ends.push_back(cycle);
        for (int i = 0; i < kStreams; i++) {
          waiting[i] = streams[i]->waiting;
          starved[i] = streams[i]->starved;
        }
      }
      any = true;
    }
    surplus |= port.surplus;
    if (any) moved = cycle;
    const bool taken = dut->s_axis_tvalid && dut->s_axis_tready;
    half(true);
    if (taken) {  // with stalls, the data lines carry noise until the next beat
      if (!offered++) first = cycle;
      dut->s_axis_tvalid = 0;
      if (stalls) {
        uint8_t* lines = reinterpret_cast<uint8_t*>(&dut->s_axis_tdata);
        for (size_t i = 0; i < kInputBytes; i++) lines[i] = pauses.random.next() >> 24;
      }
    }
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  dut->final();
#if VM_TRACE
  trace.close();
#endif

  File(out + "/ends.bin", "wb").write(ends.data(), ends.size() * sizeof(ends[0]));
  File result(out + "/result.json", "w");
  std::fprintf(result.handle, "{\"cycles\": %llu, \"first\": %llu, \"wrong_last\": %lld, \"seconds\": %.6f, \"streams\": [",
               (unsigned long long)cycle, (unsigned long long)first, (long long)wrong_last, seconds);
  for (int i = 0; i <= kStreams; i++) {
    const Stream& s = *streams[i];
    std::fprintf(result.handle,
                 "%s\n {\"accepted\": %llu, \"waiting\": %llu, \"starved\": %llu, \"unheld\": %lld, \"valid\": %d, \"ready\": %d}",
                 i ? "," : "", (unsigned long long)s.accepted, (unsigned long long)(i < kStreams ? waiting[i] : 0),
                 (unsigned long long)(i < kStreams ? starved[i] : 0), (long long)s.unheld, s.valid, s.ready);
  }
  std::fprintf(result.handle, "], \"peaks\": [");
  for (int i = 0; i < kFifos; i++) std::fprintf(result.handle, "%s%llu", i ? ", " : "", (unsigned long long)peaks[i]);
  std::fprintf(result.handle, "]}\n");
  return 0;
}

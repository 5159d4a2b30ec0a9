// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_types.hpp"

namespace bnn {

/// Factors and addends of the channels of a vector. A row of the ROM is a beat: the pair of each lane.
template <int FactorBits, int AddendBits, int Beats, int Lanes>
struct Affines {
  static constexpr int beats = Beats;
  Integer<(FactorBits > AddendBits ? FactorBits : AddendBits)> rom[Beats][Lanes * 2];
};

/// Multiplies each element by its channel's factor and adds its addend; a bipolar element counts as -1 or +1.
template <int Elements, class In, class Out, int Lanes, int FactorBits, int AddendBits, int Beats>
void affine(Stream<In, Lanes>& in, Stream<Out, Lanes>& out,
            const Affines<FactorBits, AddendBits, Beats, Lanes>& constants) {
#pragma HLS ARRAY_RESHAPE variable = constants.rom type = complete dim = 2
  static_assert(Elements % (Beats * Lanes) == 0, "a frame holds whole vectors");
  int beat = 0;
  for (int i = 0; i < Elements / Lanes; i++) {
#pragma HLS PIPELINE II = 1
    const Beat<In, Lanes> x = in.read();
    Beat<Out, Lanes> y;
    for (int lane = 0; lane < Lanes; lane++) {
#pragma HLS UNROLL
      const ap_int<FactorBits> factor = constants.rom[beat][2 * lane];
      const ap_int<AddendBits> addend = constants.rom[beat][2 * lane + 1];
      y.set(lane, typename Out::Value(In::number(x.get(lane)) * factor + addend));
    }
    out.write(y);
    wraps<Beats>(beat);
  }
}

}  // namespace bnn

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_types.hpp"

namespace bnn {

/// Thresholds of the channels of a vector. A row of the ROM is a beat: for each lane, Codes sets of Steps thresholds
/// that do not decrease. If there are several sets, a selector chooses one. If Inverted is 1, a last entry of each lane is
/// 1 where the channel counts the thresholds that it does not reach.
template <int Bits, int Beats, int Lanes, int Steps, int Codes = 1, int Inverted = 0>
struct Thresholds {
  static constexpr int entries = Codes * Steps + Inverted;  // of a lane
  Integer<Bits> rom[Beats][Lanes * entries];

  bool inverted(int beat, int lane) const {
#pragma HLS INLINE
    if constexpr (Inverted == 0) return false;
    return rom[beat][(lane + 1) * entries - 1] != 0;
  }
};

/// An output that counts: for signed elements from their least value on.
template <int Bits>
typename Signed<Bits>::Value counted(const Signed<Bits>&, ap_uint<Bits> count) {
#pragma HLS INLINE
  return typename Signed<Bits>::Value(count.to_int() - (1 << (Bits - 1)));
}
template <class Out>
typename Out::Value counted(const Out&, ap_uint<Out::bits> count) {
#pragma HLS INLINE
  return count;
}

/// Counts the thresholds of a channel that a number reaches; with one threshold, the bit of a bipolar element.
template <class Out, class Number, int Bits, int Beats, int Lanes, int Steps, int Codes, int Inverted>
typename Out::Value activate(Number number, const Thresholds<Bits, Beats, Lanes, Steps, Codes, Inverted>& thresholds,
                             int beat, int lane, int code = 0) {
#pragma HLS INLINE
  static_assert(Steps == (1 << Out::bits) - 1, "the output counts the steps");
  using Table = Thresholds<Bits, Beats, Lanes, Steps, Codes, Inverted>;
  ap_uint<Out::bits> count = 0;
  for (int i = 0; i < Steps; i++) {
#pragma HLS UNROLL
    const bool reached = number >= ap_int<Bits>(thresholds.rom[beat][lane * Table::entries + code * Steps + i]);
    if (reached != thresholds.inverted(beat, lane)) count += 1;
  }
  return counted(Out(), count);
}

/// Applies thresholds to a frame of Elements; its vectors have Beats beats.
template <int Elements, class In, class Out, int Lanes, int Bits, int Beats, int Steps, int Inverted>
void threshold(Stream<In, Lanes>& in, Stream<Out, Lanes>& out,
               const Thresholds<Bits, Beats, Lanes, Steps, 1, Inverted>& thresholds) {
  static_assert(Elements % (Beats * Lanes) == 0, "a frame holds whole vectors");
#pragma HLS ARRAY_RESHAPE variable = thresholds.rom type = complete dim = 2
  int beat = 0;
  for (int i = 0; i < Elements / Lanes; i++) {
#pragma HLS PIPELINE II = 1
    const Beat<In, Lanes> x = in.read();
    Beat<Out, Lanes> y;
    for (int lane = 0; lane < Lanes; lane++) {
#pragma HLS UNROLL
      y.set(lane, activate<Out>(In::number(x.get(lane)), thresholds, beat, lane));
    }
    out.write(y);
    wraps<Beats>(beat);
  }
}

/// Applies thresholds that the elements of a second stream choose.
template <int Elements, class In, class Select, class Out, int Lanes, int Bits, int Beats, int Steps, int Codes,
          int Inverted>
void threshold(Stream<In, Lanes>& in, Stream<Select, Lanes>& select, Stream<Out, Lanes>& out,
               const Thresholds<Bits, Beats, Lanes, Steps, Codes, Inverted>& thresholds) {
  static_assert(Elements % (Beats * Lanes) == 0 && Codes == 1 << Select::bits, "whole vectors, a set for each code");
#pragma HLS ARRAY_RESHAPE variable = thresholds.rom type = complete dim = 2
  int beat = 0;
  for (int i = 0; i < Elements / Lanes; i++) {
#pragma HLS PIPELINE II = 1
    const Beat<In, Lanes> x = in.read();
    const Beat<Select, Lanes> codes = select.read();
    Beat<Out, Lanes> y;
    for (int lane = 0; lane < Lanes; lane++) {
#pragma HLS UNROLL
      y.set(lane, activate<Out>(In::number(x.get(lane)), thresholds, beat, lane, codes.code(lane)));
    }
    out.write(y);
    wraps<Beats>(beat);
  }
}

}  // namespace bnn

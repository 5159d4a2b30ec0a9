// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_types.hpp"

namespace bnn {

/// Thresholds of the channels of a vector. A row of the ROM is a beat: for each lane, Codes sets of Steps thresholds
/// that do not decrease. If there are several sets, a selector chooses one.
template <int Bits, int Beats, int Lanes, int Steps, int Codes = 1>
struct Thresholds {
  static constexpr int beats = Beats, codes = Codes;
  Integer<Bits> rom[Beats][Lanes * Codes * Steps];
};

/// Counts the thresholds of a channel that a number reaches, from the least value of the output; with one threshold, the
/// bit of a bipolar element.
template <class Out, class Number, int Bits, int Beats, int Lanes, int Steps, int Codes>
typename Out::Value activate(Number number, const Thresholds<Bits, Beats, Lanes, Steps, Codes>& thresholds, int beat,
                             int lane, int code = 0) {
#pragma HLS INLINE
#pragma HLS ARRAY_RESHAPE variable = thresholds.rom type = complete dim = 2
  static_assert(Steps == (1 << Out::bits) - 1, "the output counts the steps");
  typename Out::Value count = Out::least;
  for (int i = 0; i < Steps; i++) {
#pragma HLS UNROLL
    if (number >= ap_int<Bits>(thresholds.rom[beat][(lane * Codes + code) * Steps + i])) count += 1;
  }
  return count;
}

/// Sets of 2^Levels - 1 thresholds as binary search reads them: one of a ROM for each lane and level, the last level
/// outermost. Its word set * 2^level + n is the middle one of the thresholds that the bits n, found before, leave.
template <int Bits, int Beats, int Lanes, int Levels, int Codes = 1>
struct ThresholdTree {
  static constexpr int beats = Beats, codes = Codes;
  ThresholdTree<Bits, Beats, Lanes, Levels - 1, Codes> upper;
  Integer<Bits> rom[Lanes][Beats * Codes << (Levels - 1)];
};
template <int Bits, int Beats, int Lanes, int Codes>
struct ThresholdTree<Bits, Beats, Lanes, 0, Codes> {};

/// Appends to the index of a set the bits of the count of its thresholds that a number reaches.
template <class Number, int Bits, int Beats, int Lanes, int Codes>
int descend(Number, const ThresholdTree<Bits, Beats, Lanes, 0, Codes>&, int, int set) {
#pragma HLS INLINE
  return set;
}
template <class Number, int Bits, int Beats, int Lanes, int Levels, int Codes>
int descend(Number number, const ThresholdTree<Bits, Beats, Lanes, Levels, Codes>& tree, int lane, int set) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable = tree.rom type = complete dim = 1
  const int node = descend(number, tree.upper, lane, set);
  return 2 * node + (number >= ap_int<Bits>(tree.rom[lane][node]) ? 1 : 0);
}

/// Counts the thresholds by binary search, a bit of the count a level.
template <class Out, class Number, int Bits, int Beats, int Lanes, int Levels, int Codes>
typename Out::Value activate(Number number, const ThresholdTree<Bits, Beats, Lanes, Levels, Codes>& tree, int beat,
                             int lane, int code = 0) {
#pragma HLS INLINE
  static_assert(Levels == Out::bits, "the output counts the steps");
  const int set = beat * Codes + code;
  return typename Out::Value(Out::least + descend(number, tree, lane, set) - (set << Levels));
}

/// Thresholds of which some channels count those that a number does not reach: these have a 1 among the flips.
template <class Table, int Lanes>
struct Inverted {
  static constexpr int beats = Table::beats, codes = Table::codes;
  Table table;
  bool flips[beats][Lanes];
};

/// Counts thresholds, reached or not.
template <class Out, class Number, class Table, int Lanes>
typename Out::Value activate(Number number, const Inverted<Table, Lanes>& thresholds, int beat, int lane,
                             int code = 0) {
#pragma HLS INLINE
  const typename Out::Value value = activate<Out>(number, thresholds.table, beat, lane, code);
  return thresholds.flips[beat][lane] ? typename Out::Value(~value) : value;
}

/// Stands for a selector where there is only one set of thresholds.
struct NoSelector {
  struct Codes {
    int code(int) const { return 0; }
  };
  Codes read() { return {}; }
};

/// Applies thresholds, of which a selector may choose sets, to a frame of Elements; its vectors have as many beats.
template <int Elements, class In, class Selector, class Out, int Lanes, class Activation>
void selected_threshold(Stream<In, Lanes>& in, Selector& select, Stream<Out, Lanes>& out,
                        const Activation& thresholds) {
  static_assert(Elements % (Activation::beats * Lanes) == 0, "a frame holds whole vectors");
  int beat = 0;
  for (int i = 0; i < Elements / Lanes; i++) {
#pragma HLS PIPELINE II = 1
    const Beat<In, Lanes> x = in.read();
    const auto codes = select.read();
    Beat<Out, Lanes> y;
    for (int lane = 0; lane < Lanes; lane++) {
#pragma HLS UNROLL
      y.set(lane, activate<Out>(In::number(x.get(lane)), thresholds, beat, lane, codes.code(lane)));
    }
    out.write(y);
    wraps<Activation::beats>(beat);
  }
}

/// Applies thresholds to a frame of Elements.
template <int Elements, class In, class Out, int Lanes, class Activation>
void threshold(Stream<In, Lanes>& in, Stream<Out, Lanes>& out, const Activation& thresholds) {
#pragma HLS INLINE
  NoSelector none;
  selected_threshold<Elements>(in, none, out, thresholds);
}

/// Applies thresholds that the elements of a second stream choose.
template <int Elements, class In, class Select, class Out, int Lanes, class Activation>
void threshold(Stream<In, Lanes>& in, Stream<Select, Lanes>& select, Stream<Out, Lanes>& out,
               const Activation& thresholds) {
#pragma HLS INLINE
  static_assert(Activation::codes == 1 << Select::bits, "a set for each code");
  selected_threshold<Elements>(in, select, out, thresholds);
}

}  // namespace bnn

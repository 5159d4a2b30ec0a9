// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_threshold.hpp"
#include "bnn_types.hpp"

namespace bnn {

/// Weights of Rows x Columns, of which a cycle uses Simd columns of Pe rows. Row n * (Columns / Simd) + s of the ROM
/// holds columns s * Simd... of rows n * Pe..., each row in `words` words of at most 64 bits.
template <class Weight, int Rows, int Columns, int Pe, int Simd>
struct Weights {
  static_assert(Rows % Pe == 0 && Columns % Simd == 0, "Pe divides Rows and Simd divides Columns");
  static constexpr int width = Weight::bits * Simd;
  static constexpr int words = (width + 63) / 64;
  static constexpr int word = (width + words - 1) / words;  // bits of a word
  Word<word> rom[(Rows / Pe) * (Columns / Simd)][Pe * words];

  Beat<Weight, Simd> get(int fold, int pe) const {
#pragma HLS INLINE
    ap_uint<words * word> bits = 0;
    for (int i = 0; i < words; i++) {
#pragma HLS UNROLL
      bits.range((i + 1) * word - 1, i * word) = ap_uint<word>(rom[fold][pe * words + i]);
    }
    return {ap_uint<width>(bits)};
  }
};

/// Stands for thresholds where there are none: the accumulator itself is the output.
struct NoThresholds {};

template <class Out, class Number>
typename Out::Value activate(Number number, const NoThresholds&, int, int, int = 0) {
#pragma HLS INLINE
  return typename Out::Value(number);
}

/// Ones among the lowest Bits bits, by a tree whose leaves count six bits in three 6-input LUTs.
template <int Bits>
unsigned count_ones(std::uint64_t word) {
#pragma HLS INLINE
  if constexpr (Bits > 6) {
    constexpr int low = (Bits + 11) / 12 * 6;
    return count_ones<low>(word) + count_ones<Bits - low>(word >> low);
  }
  unsigned count = 0;
  for (int i = 0; i < Bits; i++) {
#pragma HLS UNROLL
    count += word >> i & 1;
  }
  return count;
}

/// Number of ones, counted in plain integers of up to 64 bits, which simulate fast.
template <int Bits>
unsigned popcount(const ap_uint<Bits>& bits) {
#pragma HLS INLINE
  if constexpr (Bits > 64) {
    constexpr int low = (Bits / 64 + 1) / 2 * 64;
    return popcount<low>(bits.range(low - 1, 0)) + popcount<Bits - low>(bits.range(Bits - 1, low));
  } else {
    return count_ones<Bits>(bits.to_uint64());
  }
}

/// Sum of Simd products. Bipolar elements and weights: the number of lanes in which they agree.
template <class Sum, int Simd>
Sum dot(const Beat<Bipolar, Simd>& x, const Beat<Bipolar, Simd>& w) {
#pragma HLS INLINE
  return popcount<Simd>(~(x.bits ^ w.bits));
}

/// Sum of Simd products, in which bipolar weights choose the sign.
template <class Sum, class In, int Simd>
Sum dot(const Beat<In, Simd>& x, const Beat<Bipolar, Simd>& w) {
#pragma HLS INLINE
  Sum sum = 0;
  for (int i = 0; i < Simd; i++) {
#pragma HLS UNROLL
    const typename In::Number number = In::number(x.get(i));
    sum = w.get(i) == 1 ? Sum(sum + number) : Sum(sum - number);
  }
  return sum;
}

/// Sum of Simd products with integer weights.
template <class Sum, class In, int Bits, int Simd>
Sum dot(const Beat<In, Simd>& x, const Beat<Signed<Bits>, Simd>& w) {
#pragma HLS INLINE
  Sum sum = 0;
  for (int i = 0; i < Simd; i++) {
#pragma HLS UNROLL
    sum += In::number(x.get(i)) * w.get(i);
  }
  return sum;
}

/// Matrix-vector-threshold unit (FINN, Umuroglu et al. 2017, section 4.3): Vectors products per frame, Simd columns of
/// Pe rows per cycle. A vector is read once and replayed for further rows.
template <int Vectors, class Accumulator, class In, class Out, class Weight, int Rows, int Columns, int Pe, int Simd,
          class Selector, class Activation>
void selected_mvu(Stream<In, Simd>& in, Selector& select, Stream<Out, Pe>& out,
                  const Weights<Weight, Rows, Columns, Pe, Simd>& weights, const Activation& thresholds) {
#pragma HLS ARRAY_RESHAPE variable = weights.rom type = complete dim = 2
  constexpr int folds = Rows / Pe, words = Columns / Simd;
  Beat<In, Simd> kept[words];
  Accumulator sums[Pe];
#pragma HLS ARRAY_PARTITION variable = sums type = complete

  int row = 0, word = 0;
  for (int i = 0; i < Vectors * folds * words; i++) {
#pragma HLS PIPELINE II = 1
    Beat<In, Simd> x;
    if (row == 0) {
      x = in.read();
      kept[word] = x;
    } else {
      x = kept[word];
    }
    for (int pe = 0; pe < Pe; pe++) {
#pragma HLS UNROLL
      const Accumulator sum = dot<Accumulator>(x, weights.get(row * words + word, pe));
      sums[pe] = word == 0 ? sum : Accumulator(sums[pe] + sum);
    }
    if (wraps<words>(word)) {
      const auto codes = select.read();
      Beat<Out, Pe> y;
      for (int pe = 0; pe < Pe; pe++) {
#pragma HLS UNROLL
        y.set(pe, activate<Out>(sums[pe], thresholds, row, pe, codes.code(pe)));
      }
      out.write(y);
      wraps<folds>(row);
    }
  }
}

/// Matrix-vector unit whose thresholds are chosen by the elements of a second stream.
template <int Vectors, class Accumulator, class In, class Select, class Out, class Weight, int Rows, int Columns, int Pe,
          int Simd, class Activation>
void mvu(Stream<In, Simd>& in, Stream<Select, Pe>& select, Stream<Out, Pe>& out,
         const Weights<Weight, Rows, Columns, Pe, Simd>& weights, const Activation& thresholds) {
#pragma HLS INLINE
  selected_mvu<Vectors, Accumulator>(in, select, out, weights, thresholds);
}

/// Matrix-vector unit with one set of thresholds.
template <int Vectors, class Accumulator, class In, class Out, class Weight, int Rows, int Columns, int Pe, int Simd,
          class Activation>
void mvu(Stream<In, Simd>& in, Stream<Out, Pe>& out, const Weights<Weight, Rows, Columns, Pe, Simd>& weights,
         const Activation& thresholds) {
#pragma HLS INLINE
  NoSelector none;
  selected_mvu<Vectors, Accumulator>(in, none, out, weights, thresholds);
}

/// Matrix-vector unit without thresholds.
template <int Vectors, class Accumulator, class In, class Out, class Weight, int Rows, int Columns, int Pe, int Simd>
void mvu(Stream<In, Simd>& in, Stream<Out, Pe>& out, const Weights<Weight, Rows, Columns, Pe, Simd>& weights) {
#pragma HLS INLINE
  mvu<Vectors, Accumulator>(in, out, weights, NoThresholds{});
}

}  // namespace bnn

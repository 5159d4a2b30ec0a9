// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_mvu.hpp"
#include "bnn_threshold.hpp"
#include "bnn_types.hpp"

namespace bnn {

/// Grouped matrix-vector-threshold unit: for each of Vectors windows, Groups products of Outputs rows, each with Inputs
/// channels of Pixels pixels. Each beat meets all rows of its groups, Pe a cycle; the sums of all rows are kept meanwhile.
/// A row of the ROM is a cycle's: the weights of each row. A beat has whole groups, or a part of one.
template <int Vectors, int Pixels, int Groups, int Inputs, int Outputs, class Accumulator, class In, class Out,
          class Weight, int Pe, int Simd, int Columns, int Share, class Activation>
void grouped(Stream<In, Simd>& in, Stream<Out, Pe>& out, const Weights<Weight, Pe, Columns, Pe, Share>& weights,
             const Activation& thresholds) {
#pragma HLS ARRAY_RESHAPE variable = weights.rom type = complete dim = 2
  constexpr int whole = Simd / Share, folds = Groups / whole, parts = Inputs / Share;
  constexpr int passes = whole > 1 ? 1 : Outputs / Pe, fold = Pixels * folds * parts * passes;
  static_assert(Columns == fold * Share, "weights for each cycle of a window");
  Accumulator sums[folds * passes][Pe];
#pragma HLS ARRAY_PARTITION variable = sums type = complete dim = 2
  Beat<In, Simd> x;

  int pass = 0, part = 0, group = 0, pixel = 0, cycle = 0;
  for (int i = 0; i < Vectors * fold; i++) {
#pragma HLS PIPELINE II = 1
    if (pass == 0) x = in.read();
    const bool first = pixel == 0 && part == 0, last = pixel == Pixels - 1 && part == parts - 1;
    const int place = group * passes + pass;
    Beat<Out, Pe> y;
    for (int pe = 0; pe < Pe; pe++) {
#pragma HLS UNROLL
      const int at = pe / (Pe / whole) * Share * In::bits;
      const Beat<In, Share> own = {ap_uint<Share * In::bits>(x.bits.range(at + Share * In::bits - 1, at))};
      const Accumulator sum = dot<Accumulator>(own, weights.get(cycle, pe));
      const Accumulator total = first ? sum : Accumulator(sums[place][pe] + sum);
      sums[place][pe] = total;
      y.set(pe, activate<Out>(total, thresholds, place, pe));
    }
    if (last) out.write(y);
    wraps<fold>(cycle);
    if (wraps<passes>(pass) && wraps<parts>(part) && wraps<folds>(group)) wraps<Pixels>(pixel);
  }
}

/// Grouped matrix-vector unit without thresholds.
template <int Vectors, int Pixels, int Groups, int Inputs, int Outputs, class Accumulator, class In, class Out,
          class Weight, int Pe, int Simd, int Columns, int Share>
void grouped(Stream<In, Simd>& in, Stream<Out, Pe>& out, const Weights<Weight, Pe, Columns, Pe, Share>& weights) {
#pragma HLS INLINE
  grouped<Vectors, Pixels, Groups, Inputs, Outputs, Accumulator>(in, out, weights, NoThresholds{});
}

}  // namespace bnn

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_types.hpp"

namespace bnn {

/// Adds two streams, element by element; a bipolar element counts as -1 or +1.
template <int Elements, class A, class B, class Out, int Lanes>
void add(Stream<A, Lanes>& a, Stream<B, Lanes>& b, Stream<Out, Lanes>& out) {
  for (int i = 0; i < Elements / Lanes; i++) {
#pragma HLS PIPELINE II = 1
    const Beat<A, Lanes> x = a.read();
    const Beat<B, Lanes> y = b.read();
    Beat<Out, Lanes> sum;
    for (int lane = 0; lane < Lanes; lane++) {
#pragma HLS UNROLL
      sum.set(lane, typename Out::Value(A::number(x.get(lane)) + B::number(y.get(lane))));
    }
    out.write(sum);
  }
}

}  // namespace bnn

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_types.hpp"

namespace bnn {

/// Index of the largest of the Classes of each pixel; the lowest index wins a tie.
template <int Pixels, int Classes, class In, class Out, int Lanes>
void label_select(Stream<In, Lanes>& in, Stream<Out, 1>& out) {
  typename In::Value best = 0;
  typename Out::Value label = 0;
  int word = 0;
  for (int i = 0; i < Pixels * (Classes / Lanes); i++) {
#pragma HLS PIPELINE II = 1
    const Beat<In, Lanes> beat = in.read();
    typename In::Value value = beat.get(0);
    typename Out::Value lane = 0;
    for (int l = 1; l < Lanes; l++) {
#pragma HLS UNROLL
      if (beat.get(l) > value) {
        value = beat.get(l);
        lane = l;
      }
    }
    if (word == 0 || value > best) {
      best = value;
      label = word * Lanes + lane;
    }
    if (wraps<Classes / Lanes>(word)) {
      Beat<Out, 1> result;
      result.set(0, label);
      out.write(result);
    }
  }
}

}  // namespace bnn

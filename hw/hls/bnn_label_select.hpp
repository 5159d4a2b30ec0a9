// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_types.hpp"

namespace bnn {

/// Index of the largest of a frame's Elements; the lowest index wins a tie.
template <int Elements, class In, class Out, int Lanes>
void label_select(Stream<In, Lanes>& in, Stream<Out, 1>& out) {
  typename In::Value best = 0;
  typename Out::Value label = 0;
  for (int i = 0; i < Elements / Lanes; i++) {
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
    if (i == 0 || value > best) {
      best = value;
      label = i * Lanes + lane;
    }
  }
  Beat<Out, 1> result;
  result.set(0, label);
  out.write(result);
}

}  // namespace bnn

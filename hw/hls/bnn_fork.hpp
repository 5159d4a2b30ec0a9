// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_types.hpp"

namespace bnn {

/// Copies each beat of a frame of Elements to every output.
template <int Elements, class Element, int Lanes, class... Outputs>
void fork(Stream<Element, Lanes>& in, Outputs&... out) {
  for (int i = 0; i < Elements / Lanes; i++) {
#pragma HLS PIPELINE II = 1
    const Beat<Element, Lanes> beat = in.read();
    (out.write(beat), ...);
  }
}

}  // namespace bnn

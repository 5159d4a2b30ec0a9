// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_types.hpp"

namespace bnn {

/// Forwards a frame of Elements; the depth is set on the stream that it reads (`#pragma HLS STREAM`).
template <int Elements, class Element, int Lanes>
void fifo(Stream<Element, Lanes>& in, Stream<Element, Lanes>& out) {
  for (int i = 0; i < Elements / Lanes; i++) {
#pragma HLS PIPELINE II = 1
    out.write(in.read());
  }
}

}  // namespace bnn

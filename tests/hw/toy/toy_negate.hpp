// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_types.hpp"

namespace bnn {

/// -1 for +1 and +1 for -1.
template <int Elements, int Lanes>
void negate(Stream<Bipolar, Lanes>& in, Stream<Bipolar, Lanes>& out) {
  for (int i = 0; i < Elements / Lanes; i++) {
#pragma HLS PIPELINE II = 1
    out.write({~in.read().bits});
  }
}

}  // namespace bnn

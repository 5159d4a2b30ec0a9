// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ap_axi_sdata.h"
#include "bnn_types.hpp"

namespace bnn {

/// AXI-Stream with TDATA padded to whole bytes; the output has TLAST.
template <int Bits>
using AxisIn = ap_uint<Bits>;
template <int Bits>
using AxisOut = hls::axis_data<ap_uint<Bits>, AXIS_ENABLE_LAST>;

/// Reads a frame of Elements from the host.
template <int Elements, int Bits, class Element, int Lanes>
void from_axis(hls::stream<AxisIn<Bits>>& in, Stream<Element, Lanes>& out) {
  for (int i = 0; i < Elements / Lanes; i++) {
#pragma HLS PIPELINE II = 1
    out.write({ap_uint<Element::bits * Lanes>(in.read())});
  }
}

/// Sends a frame of Elements to the host, with TLAST on its last beat.
template <int Elements, int Bits, class Element, int Lanes>
void to_axis(Stream<Element, Lanes>& in, hls::stream<AxisOut<Bits>>& out) {
  for (int i = 0; i < Elements / Lanes; i++) {
#pragma HLS PIPELINE II = 1
    AxisOut<Bits> beat;
    beat.data = in.read().bits;
    beat.last = i == Elements / Lanes - 1;
    out.write(beat);
  }
}

}  // namespace bnn

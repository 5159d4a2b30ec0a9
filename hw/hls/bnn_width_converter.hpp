// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_types.hpp"

namespace bnn {

/// Regroups a frame of Elements into more or fewer lanes, in order; one number of lanes must divide the other.
template <int Elements, class Element, int InLanes, int OutLanes>
void width_converter(Stream<Element, InLanes>& in, Stream<Element, OutLanes>& out) {
  static_assert(InLanes % OutLanes == 0 || OutLanes % InLanes == 0, "one number of lanes divides the other");
  constexpr int narrow = InLanes < OutLanes ? InLanes : OutLanes;
  constexpr int ratio = (InLanes > OutLanes ? InLanes : OutLanes) / narrow;
  constexpr int bits = narrow * Element::bits;
  ap_uint<bits * ratio> wide = 0;
  int part = 0;
  for (int i = 0; i < Elements / narrow; i++) {
#pragma HLS PIPELINE II = 1
    if constexpr (InLanes < OutLanes) {  // shift narrow beats in from above
      wide = (wide >> bits) | (ap_uint<bits * ratio>(in.read().bits) << (bits * (ratio - 1)));
      if (wraps<ratio>(part)) out.write({wide});
    } else {
      wide = part == 0 ? in.read().bits : ap_uint<bits * ratio>(wide >> bits);
      out.write({ap_uint<bits>(wide)});
      wraps<ratio>(part);
    }
  }
}

}  // namespace bnn

// SPDX-License-Identifier: Apache-2.0
#pragma once

// A stand-in for the header of Vitis HLS, for C simulation without Vitis. It has only the members that we use.

#include "ap_int.h"

#define AXIS_ENABLE_LAST 0b01000

namespace hls {

template <class T, int EnableSignals>
struct axis_data {
  T data;
  ap_uint<1> last;
};

}  // namespace hls

// SPDX-License-Identifier: Apache-2.0
#pragma once

// A stand-in for Vitis HLS' header of the same name, for C simulation without Vitis: the members that we use.

#include "ap_int.h"

#define AXIS_ENABLE_LAST 0b01000

namespace hls {

template <class T, int EnableSignals>
struct axis_data {
  T data;
  ap_uint<1> last;
};

}  // namespace hls

// SPDX-License-Identifier: Apache-2.0
// Written by adiabit; the library's headers explain the stages.
// 784 elements in, 1 out, folded for 128 cycles a frame.

#include "tfc.hpp"

#include "tfc_params.hpp"

void tfc(hls::stream<bnn::AxisIn<128>>& s_axis, hls::stream<bnn::AxisOut<8>>& m_axis) {
#pragma HLS INTERFACE mode=axis port=s_axis
#pragma HLS INTERFACE mode=axis port=m_axis
#pragma HLS INTERFACE mode=ap_ctrl_none port=return
#pragma HLS DATAFLOW
#pragma HLS BIND_STORAGE variable=tfc_2_weights.rom type=rom_1p impl=bram
#pragma HLS BIND_STORAGE variable=tfc_3_weights.rom type=rom_1p impl=bram
#pragma HLS BIND_STORAGE variable=tfc_5_weights.rom type=rom_1p impl=bram
#pragma HLS BIND_STORAGE variable=tfc_6_weights.rom type=rom_1p impl=lutram

  bnn::Stream<bnn::Unsigned<8>, 16> x("x");  // 784
  bnn::Stream<bnn::Bipolar, 16> y0("y0");  // 784
  bnn::Stream<bnn::Bipolar, 112> y1("y1");  // 784
  bnn::Stream<bnn::Bipolar, 8> y2("y2");  // 64
  bnn::Stream<bnn::Bipolar, 4> y3("y3");  // 64
  bnn::Stream<bnn::Bipolar, 8> y4("y4");  // 64
  bnn::Stream<bnn::Bipolar, 8> y5("y5");  // 64
  bnn::Stream<bnn::Unsigned<7>, 1> y6("y6");  // 10
  bnn::Stream<bnn::Unsigned<4>, 1> y7("y7");  // 1

  bnn::from_axis<784>(s_axis, x);
  bnn::threshold<784>(x, y0, tfc_0_thresholds);
  bnn::width_converter<784>(y0, y1);
  bnn::mvu<1, ap_uint<10>>(y1, y2, tfc_2_weights, tfc_2_thresholds);
  bnn::mvu<1, ap_uint<7>>(y2, y3, tfc_3_weights, tfc_3_thresholds);
  bnn::width_converter<64>(y3, y4);
  bnn::mvu<1, ap_uint<7>>(y4, y5, tfc_5_weights, tfc_5_thresholds);
  bnn::mvu<1, ap_uint<7>>(y5, y6, tfc_6_weights);
  bnn::label_select<1, 10>(y6, y7);
  bnn::to_axis<1>(y7, m_axis);
}

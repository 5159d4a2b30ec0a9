// SPDX-License-Identifier: Apache-2.0
// Written by adiabit; the library's headers explain the stages.
// 8x8x3 elements in, 1 out, folded for 576 cycles a frame.

#include "conv.hpp"

#include "conv_params.hpp"

void conv(hls::stream<bnn::AxisIn<24>>& s_axis, hls::stream<bnn::AxisOut<8>>& m_axis) {
#pragma HLS INTERFACE mode=axis port=s_axis
#pragma HLS INTERFACE mode=axis port=m_axis
#pragma HLS INTERFACE mode=ap_ctrl_none port=return
#pragma HLS DATAFLOW
#pragma HLS BIND_STORAGE variable=conv_2_weights.rom type=rom_1p impl=lutram
#pragma HLS BIND_STORAGE variable=conv_7_weights.rom type=rom_1p impl=lutram
#pragma HLS BIND_STORAGE variable=conv_10_weights.rom type=rom_1p impl=lutram
#pragma HLS BIND_STORAGE variable=conv_12_weights.rom type=rom_1p impl=lutram

  bnn::Stream<bnn::Unsigned<8>, 3> x("x");  // 8x8x3
  bnn::Stream<bnn::Unsigned<8>, 3> y0("y0");  // 10x10x3
  bnn::Stream<bnn::Unsigned<8>, 3> y1("y1");  // 8x8x27
  bnn::Stream<bnn::Bipolar, 16> y2("y2");  // 8x8x16
  bnn::Stream<bnn::Bipolar, 16> y3("y3");  // 4x4x16
  bnn::Stream<bnn::Bipolar, 16> y4("y4");  // 6x6x16
  bnn::Stream<bnn::Bipolar, 144> y5("y5");  // 2x2x144
  bnn::Stream<bnn::Bipolar, 48> y6("y6");  // 2x2x144
  bnn::Stream<bnn::Bipolar, 4> y7("y7");  // 2x2x8
  bnn::Stream<bnn::Bipolar, 4> y8("y8");  // 2x2x8
  bnn::Stream<bnn::Bipolar, 4> y9("y9");  // 2x1x16
  bnn::Stream<bnn::Unsigned<2>, 2> y10("y10");  // 2x1x4
  bnn::Stream<bnn::Unsigned<4>, 2> y11("y11");  // 4
  bnn::Stream<bnn::Signed<7>, 1> y12("y12");  // 5
  bnn::Stream<bnn::Unsigned<3>, 1> y13("y13");  // 1
#pragma HLS STREAM variable=y7 depth=9

  bnn::from_axis<192>(s_axis, x);
  bnn::pad<bnn::Image<8, 8, 3>, bnn::Before<1, 1>, bnn::After<1, 1>, 0>(x, y0);
  bnn::window<bnn::Image<10, 10, 3>, bnn::Kernel<3, 3>>(y0, y1);
  bnn::mvu<64, ap_int<14>>(y1, y2, conv_2_weights, conv_2_thresholds);
  bnn::pool<bnn::Image<8, 8, 16>, bnn::Kernel<2, 2>>(y2, y3);
  bnn::pad<bnn::Image<4, 4, 16>, bnn::Before<1, 1>, bnn::After<1, 1>, 0>(y3, y4);
  bnn::window<bnn::Image<6, 6, 16>, bnn::Kernel<3, 3>, bnn::Stride<2, 2>>(y4, y5);
  bnn::width_converter<576>(y5, y6);
  bnn::mvu<4, ap_uint<8>>(y6, y7, conv_7_weights, conv_7_thresholds);
  bnn::fifo<32>(y7, y8);
  bnn::window<bnn::Image<2, 2, 8>, bnn::Kernel<1, 2>>(y8, y9);
  bnn::mvu<2, ap_int<7>>(y9, y10, conv_10_weights, conv_10_thresholds);
  bnn::sum_pool<bnn::Image<2, 1, 4>, bnn::Kernel<2, 1>>(y10, y11);
  bnn::mvu<1, ap_int<7>>(y11, y12, conv_12_weights);
  bnn::label_select<1, 5>(y12, y13);
  bnn::to_axis<1>(y13, m_axis);
}

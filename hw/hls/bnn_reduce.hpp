// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_types.hpp"

namespace bnn {

/// The larger of two elements; of bipolar ones it is OR.
struct Largest {
  template <class In, class Value>
  static Value first(typename In::Value x) {
#pragma HLS INLINE
    return Value(x);
  }
  template <class In, class Value>
  static Value join(Value best, typename In::Value x) {
#pragma HLS INLINE
    return x > best ? Value(x) : best;
  }
};

/// The sum; of bipolar elements, how many are +1.
struct Sum {
  template <class In, class Value>
  static Value first(typename In::Value x) {
#pragma HLS INLINE
    return Value(x);
  }
  template <class In, class Value>
  static Value join(Value sum, typename In::Value x) {
#pragma HLS INLINE
    return Value(sum + x);
  }
};

/// Joins the elements of each block of an image, channel by channel. Rows and columns that fill no block are dropped.
template <class Operation, class Image, class Kernel, class In, class Out, int Lanes>
void reduce(Stream<In, Lanes>& in, Stream<Out, Lanes>& out) {
  constexpr int words = Image::channels / Lanes;  // beats of a pixel
  constexpr int rows = Image::height / Kernel::rows, columns = Image::width / Kernel::columns;
  static_assert(rows > 0 && columns > 0, "a block lies in the image");
  Beat<Out, Lanes> open[columns * words];  // a row of blocks that are not complete

  int x = 0, y = 0;                              // the block, or beyond the last
  int row = 0, column = 0, pixel = 0, word = 0;  // in the block, in the image's row, in the pixel
  for (int i = 0; i < Image::height * Image::width * words; i++) {
#pragma HLS PIPELINE II = 1
    const Beat<In, Lanes> beat = in.read();
    if (x < columns && y < rows) {
      const Beat<Out, Lanes> so_far = open[x * words + word];
      Beat<Out, Lanes> joined;
      for (int lane = 0; lane < Lanes; lane++) {
#pragma HLS UNROLL
        using Value = typename Out::Value;
        joined.set(lane, row == 0 && column == 0
                             ? Operation::template first<In, Value>(beat.get(lane))
                             : Operation::template join<In, Value>(so_far.get(lane), beat.get(lane)));
      }
      open[x * words + word] = joined;
      if (row == Kernel::rows - 1 && column == Kernel::columns - 1) out.write(joined);
    }
    if (wraps<words>(word)) {
      if (wraps<Image::width>(pixel)) {
        x = column = 0;
        if (wraps<Kernel::rows>(row)) y++;
      } else if (wraps<Kernel::columns>(column)) {
        x++;
      }
    }
  }
}

/// Largest element of each block.
template <class Image, class Kernel, class Element, int Lanes>
void pool(Stream<Element, Lanes>& in, Stream<Element, Lanes>& out) {
#pragma HLS INLINE
  reduce<Largest, Image, Kernel>(in, out);
}

/// Sum of each channel over the image: the global average pool without its division.
template <class Image, class In, class Out, int Lanes>
void global_sum(Stream<In, Lanes>& in, Stream<Out, Lanes>& out) {
#pragma HLS INLINE
  reduce<Sum, Image, Kernel<Image::height, Image::width>>(in, out);
}

}  // namespace bnn

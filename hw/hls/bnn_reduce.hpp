// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_types.hpp"

namespace bnn {

/// Operation: the largest element; for bipolar elements, OR.
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

/// Operation: the sum; for bipolar elements, the number of +1.
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

/// Reduces each block of an image to a pixel, channel by channel. Rows and columns that fill no block are dropped.
template <class Operation, class Image, class Kernel, class In, class Out, int Lanes>
void reduce(Stream<In, Lanes>& in, Stream<Out, Lanes>& out) {
  constexpr int words = Image::channels / Lanes;  // beats of a pixel
  constexpr int rows = Image::height / Kernel::rows, columns = Image::width / Kernel::columns;
  static_assert(rows > 0 && columns > 0, "a block lies in the image");
  Beat<Out, Lanes> open[columns * words];  // partial results of a row of blocks

  int x = 0, y = 0;                              // block in the grid; beyond the last, pixels are dropped
  int row = 0, column = 0, pixel = 0, word = 0;  // position in the block, in the image's row, in the pixel
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

/// Sum of each block, or for bipolar elements the number of +1: an average pool without the division.
template <class Image, class Kernel, class In, class Out, int Lanes>
void sum_pool(Stream<In, Lanes>& in, Stream<Out, Lanes>& out) {
#pragma HLS INLINE
  reduce<Sum, Image, Kernel>(in, out);
}

}  // namespace bnn

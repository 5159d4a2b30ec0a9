// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_types.hpp"

namespace bnn {

/// The grid of windows in an image.
template <class Image, class Kernel, class Stride, class Dilation>
struct Windows {
  static constexpr int span_rows = (Kernel::rows - 1) * Dilation::rows + 1;
  static constexpr int span_columns = (Kernel::columns - 1) * Dilation::columns + 1;
  static_assert(span_rows <= Image::height && span_columns <= Image::width, "a window lies in the image");
  static constexpr int rows = (Image::height - span_rows) / Stride::rows + 1;
  static constexpr int columns = (Image::width - span_columns) / Stride::columns + 1;

  // In pixels: from a window's first to its last, and from one window's first to the next one's, at most.
  static constexpr int span = (span_rows - 1) * Image::width + span_columns;
  static constexpr int next_row = Stride::rows * Image::width - (columns - 1) * Stride::columns;
  static constexpr int next = rows > 1 && next_row > Stride::columns ? next_row : Stride::columns;
};

/// Smallest power of two that is at least n.
constexpr int power_of_two(int n) {
  int power = 1;
  while (power < n) power *= 2;
  return power;
}

/// Serial sliding window: a beat in and a beat out per cycle. A ring buffer holds the image from the current window's
/// first pixel to the next window's last; a window is sent once all of it has arrived.
template <class Image, class Kernel, class Stride, class Dilation, class Element, int Lanes>
void window_serial(Stream<Element, Lanes>& in, Stream<Element, Lanes>& out) {
  using Where = Windows<Image, Kernel, Stride, Dilation>;
  constexpr int words = Image::channels / Lanes;  // beats of a pixel
  constexpr int beats = Image::height * Image::width * words;
  constexpr int depth = power_of_two((Where::span + Where::next) * words);
  Beat<Element, Lanes> ring[depth];

  int loaded = 0;                     // beats of the frame that were read
  int start = 0;                      // first beat of the window
  int across = 0, down = 0;           // window in the grid
  int row = 0, column = 0, word = 0;  // next beat to send, in the window
  bool done = false;                  // the last window was sent
  while (!done || loaded < beats) {
#pragma HLS PIPELINE II = 1
    const bool send = !done && loaded >= start + Where::span * words;
    if (send) {
      const int pixel = row * Dilation::rows * Image::width + column * Dilation::columns;
      out.write(ring[(start + pixel * words + word) % depth]);
    }
    if (loaded < beats && (done || loaded - start < depth)) {
      ring[loaded % depth] = in.read();
      loaded++;
    }
    if (send && wraps<words>(word) && wraps<Kernel::columns>(column) && wraps<Kernel::rows>(row)) {
      if (!wraps<Where::columns>(across)) {
        start += Stride::columns * words;
      } else if (!wraps<Where::rows>(down)) {
        start += Where::next_row * words;
      } else {
        done = true;
      }
    }
  }
}

/// Parallel sliding window: a pixel in per cycle, and whole windows out. A memory holds the rows above; registers hold
/// the pixels that the window spans.
template <class Image, class Kernel, class Stride, class Dilation, class Element, int Channels, int Lanes>
void window_parallel(Stream<Element, Channels>& in, Stream<Element, Lanes>& out) {
  using Where = Windows<Image, Kernel, Stride, Dilation>;
  constexpr int rows = Where::span_rows, columns = Where::span_columns, width = Element::bits * Channels;
  ap_uint<width> above[Image::width][rows];  // row 0 is not used
  ap_uint<width> span[rows][columns];
#pragma HLS ARRAY_RESHAPE variable = above type = complete dim = 2
#pragma HLS ARRAY_PARTITION variable = span type = complete dim = 0

  int next_row = rows - 1, next_column = columns - 1;  // where the next window ends
  int x = 0, y = 0;
  for (int i = 0; i < Image::height * Image::width; i++) {
#pragma HLS PIPELINE II = 1
    const ap_uint<width> pixel = in.read().bits;
    for (int r = 0; r < rows; r++) {
#pragma HLS UNROLL
      for (int c = 0; c + 1 < columns; c++) {
#pragma HLS UNROLL
        span[r][c] = span[r][c + 1];
      }
      span[r][columns - 1] = r == rows - 1 ? pixel : y < rows - 1 - r ? ap_uint<width>(0) : above[x][r + 1];
    }
    for (int r = 1; r < rows; r++) {
#pragma HLS UNROLL
      above[x][r] = span[r][columns - 1];
    }
    const bool ends = x == next_column && y == next_row;
    if (ends) {
      Beat<Element, Lanes> window;
      for (int r = 0; r < Kernel::rows; r++) {
#pragma HLS UNROLL
        for (int c = 0; c < Kernel::columns; c++) {
#pragma HLS UNROLL
          const int at = (r * Kernel::columns + c) * width;
          window.bits.range(at + width - 1, at) = span[r * Dilation::rows][c * Dilation::columns];
        }
      }
      out.write(window);
      next_column += Stride::columns;
    }
    if (wraps<Image::width>(x)) {
      if (y == next_row) next_row += Stride::rows;
      next_column = columns - 1;
      y++;
    }
  }
}

/// Sliding window: for each output pixel its window, rows first. Parallel if a beat of the output is a whole window.
template <class Image, class Kernel, class Stride = bnn::Stride<1, 1>, class Dilation = bnn::Dilation<1, 1>,
          class Element, int InLanes, int OutLanes>
void window(Stream<Element, InLanes>& in, Stream<Element, OutLanes>& out) {
#pragma HLS INLINE
  if constexpr (OutLanes == Kernel::rows * Kernel::columns * Image::channels && InLanes == Image::channels) {
    window_parallel<Image, Kernel, Stride, Dilation>(in, out);
  } else {
    static_assert(InLanes == OutLanes && Image::channels % InLanes == 0, "equal lanes, which divide the channels");
    window_serial<Image, Kernel, Stride, Dilation>(in, out);
  }
}

}  // namespace bnn

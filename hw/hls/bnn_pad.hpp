// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_types.hpp"

namespace bnn {

/// Surrounds an image with rows and columns of one element, whose bits are Value.
template <class Image, class Before, class After, int Value, class Element, int Lanes>
void pad(Stream<Element, Lanes>& in, Stream<Element, Lanes>& out) {
  constexpr int words = Image::channels / Lanes;  // beats of a pixel
  constexpr int height = Before::rows + Image::height + After::rows;
  constexpr int width = Before::columns + Image::width + After::columns;
  Beat<Element, Lanes> around;
  for (int lane = 0; lane < Lanes; lane++) {
#pragma HLS UNROLL
    around.set(lane, typename Element::Value(Value));
  }
  int x = 0, y = 0, word = 0;
  for (int i = 0; i < height * width * words; i++) {
#pragma HLS PIPELINE II = 1
    const bool inside = y >= Before::rows && y < Before::rows + Image::height && x >= Before::columns &&
                        x < Before::columns + Image::width;
    out.write(inside ? in.read() : around);
    if (wraps<words>(word) && wraps<width>(x)) y++;
  }
}

}  // namespace bnn

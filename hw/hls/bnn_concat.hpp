// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bnn_types.hpp"

namespace bnn {

/// Beats of a pixel, by stream.
template <int... Counts>
struct Words {
  static constexpr int total = (Counts + ...);
};

/// Reads a beat of the stream number `which`.
template <class Element, int Lanes, class... Inputs>
Beat<Element, Lanes> read_one(int which, Inputs&... in) {
#pragma HLS INLINE
  Beat<Element, Lanes> beat{};
  int number = 0;
  ((number++ == which ? void(beat = in.read()) : void()), ...);
  return beat;
}

/// Concatenates the channels of several streams, pixel by pixel, a beat per cycle.
template <int Pixels, int... Counts, class Element, int Lanes, class... Inputs>
void concat_words(Words<Counts...>, Stream<Element, Lanes>& out, Inputs&... in) {
  static_assert(sizeof...(Counts) == sizeof...(Inputs), "each stream has its number of beats");
  constexpr int counts[] = {Counts...};
  int which = 0, word = 0;
  for (int i = 0; i < Pixels * Words<Counts...>::total; i++) {
#pragma HLS PIPELINE II = 1
    out.write(read_one<Element, Lanes>(which, in...));
    if (++word == counts[which]) {
      word = 0;
      wraps<sizeof...(Counts)>(which);
    }
  }
}

/// Concatenates the channels of several streams, pixel by pixel, a beat per cycle. The output is the first argument.
template <int Pixels, class Counts, class Element, int Lanes, class... Inputs>
void concat(Stream<Element, Lanes>& out, Inputs&... in) {
#pragma HLS INLINE
  concat_words<Pixels>(Counts{}, out, in...);
}

/// Reads a pixel of a stream into the bits from `at` on; returns where those of the next stream start.
template <class Element, int Lanes, int InLanes>
int read_pixel(Beat<Element, Lanes>& pixel, int at, Stream<Element, InLanes>& in) {
#pragma HLS INLINE
  pixel.bits.range(at + Element::bits * InLanes - 1, at) = in.read().bits;
  return at + Element::bits * InLanes;
}

/// Concatenates the channels of streams whose beat is a whole pixel, a pixel per cycle. The output is the first
/// argument.
template <int Pixels, class Element, int Lanes, int... InLanes>
void concat_pixels(Stream<Element, Lanes>& out, Stream<Element, InLanes>&... in) {
  for (int i = 0; i < Pixels; i++) {
#pragma HLS PIPELINE II = 1
    Beat<Element, Lanes> pixel;
    int at = 0;
    ((at = read_pixel(pixel, at, in)), ...);
    out.write(pixel);
  }
}

}  // namespace bnn

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "ap_int.h"
#include "hls_stream.h"

namespace bnn {

/// Element type of -1 and +1, in one bit: 0 stands for -1, 1 for +1.
struct Bipolar {
  static constexpr int bits = 1;
  static constexpr int least = 0;  // Value
  using Value = ap_uint<1>;
  using Number = ap_int<2>;
  static Number number(Value value) {
#pragma HLS INLINE
    return value == 1 ? Number(1) : Number(-1);
  }
};

/// Element type of the unsigned integers 0 ... 2^Bits - 1.
template <int Bits>
struct Unsigned {
  static constexpr int bits = Bits;
  static constexpr int least = 0;
  using Value = ap_uint<Bits>;
  using Number = ap_uint<Bits>;
  static Number number(Value value) {
#pragma HLS INLINE
    return value;
  }
};

/// Element type of the integers of Bits bits in two's complement.
template <int Bits>
struct Signed {
  static constexpr int bits = Bits;
  static constexpr std::int64_t least = -(std::int64_t(1) << (Bits - 1));
  using Value = ap_int<Bits>;
  using Number = ap_int<Bits>;
  static Number number(Value value) {
#pragma HLS INLINE
    return value;
  }
};

/// One transfer of a stream: Lanes elements, the first in the least significant bits.
template <class Element, int Lanes>
struct Beat {
  static constexpr int width = Element::bits * Lanes;
  ap_uint<width> bits;

  typename Element::Value get(int lane) const {
#pragma HLS INLINE
    const ap_uint<Element::bits> code = bits.range((lane + 1) * Element::bits - 1, lane * Element::bits);
    return typename Element::Value(code);
  }
  int code(int lane) const {  // the bits of an element as an unsigned integer
#pragma HLS INLINE
    return ap_uint<Element::bits>(bits.range((lane + 1) * Element::bits - 1, lane * Element::bits)).to_int();
  }
  void set(int lane, typename Element::Value value) {
#pragma HLS INLINE
    bits.range((lane + 1) * Element::bits - 1, lane * Element::bits) = ap_uint<Element::bits>(value);
  }
};

template <class Element, int Lanes>
using Stream = hls::stream<Beat<Element, Lanes>>;

/// Height, width and channels of an image; sound is an image of one row.
template <int Height, int Width, int Channels>
struct Image {
  static constexpr int height = Height, width = Width, channels = Channels;
};

/// Numbers of pixels, down and across.
template <int Rows, int Columns>
struct Kernel {
  static constexpr int rows = Rows, columns = Columns;
};
template <int Rows, int Columns>
struct Stride {
  static constexpr int rows = Rows, columns = Columns;
};
template <int Rows, int Columns>
struct Dilation {
  static constexpr int rows = Rows, columns = Columns;
};

/// Padding: Before is rows above and columns on the left, After rows below and columns on the right.
template <int Rows, int Columns>
struct Before {
  static constexpr int rows = Rows, columns = Columns;
};
template <int Rows, int Columns>
struct After {
  static constexpr int rows = Rows, columns = Columns;
};

// Constants of a ROM. In simulation they are plain integers, because a compiler is slow with many ap_int constants.
#ifdef __SYNTHESIS__
template <int Bits>
using Word = ap_uint<Bits>;
template <int Bits>
using Integer = ap_int<Bits>;
#else
template <int Bits>
using Word = std::uint64_t;
template <int Bits>
using Integer = std::int64_t;
#endif

/// Bits of an integer in 0 ... n.
constexpr int bits_for(int n) {
  int bits = 1;
  while (n >>= 1) bits++;
  return bits;
}

/// Advances a counter over 0 ... Limit - 1; true when it wraps. `wraps<3>(x) && wraps<2>(y)` counts in two digits.
template <int Limit>
bool wraps(int& counter) {
#pragma HLS INLINE
  counter = counter == Limit - 1 ? 0 : counter + 1;
  return counter == 0;
}

}  // namespace bnn

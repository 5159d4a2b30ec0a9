// SPDX-License-Identifier: Apache-2.0

/// Sizes that a module and those that instantiate it must agree on.
package bnn_pkg;
  localparam int unsigned Leaf  = 6;  // bits that the first level of a popcount counts in one node: a LUT6 a bit of the count
  localparam int unsigned Radix = 3;  // terms that a node of any other level adds

  /// Registered levels, which is the latency in cycles, of a `bnn_sum` of `terms` terms of `width` bits.
  function automatic int unsigned sum_latency(int unsigned terms, int unsigned width);
    int unsigned left;
    left        = terms;
    sum_latency = 0;
    while (left > 1) begin
      left        = ceil_div(left, node_terms(width + sum_latency));
      sum_latency = sum_latency + 1;
    end
  endfunction

  /// Terms of `width` bits that one node adds.
  function automatic int unsigned node_terms(int unsigned width);
    return width == 1 ? Leaf : Radix;
  endfunction

  /// Latency of `bnn_steps`.
  function automatic int unsigned steps_latency(int unsigned steps);
    return steps > 1 ? 2 : 1;
  endfunction

  function automatic int unsigned ceil_div(int unsigned a, int unsigned b);
    return (a + b - 1) / b;
  endfunction

  /// Bits of an index or counter below `n`, at least 1.
  function automatic int unsigned index_width(int unsigned n);
    return n > 1 ? $clog2(n) : 1;
  endfunction
endpackage : bnn_pkg

// SPDX-License-Identifier: Apache-2.0

/// Sizes that a module and those that instantiate it must agree on.
package bnn_pkg;
  // Registered levels of LUT6 and short carry chains: 1.3 to 1.6 LUTs a synapse, about 1.8 ns of logic in a Zynq-7000.
  localparam int unsigned Leaf  = 6;  // bits that a node of a popcount's first level counts
  localparam int unsigned Radix = 3;  // terms that a node of any other level adds

  /// Registered levels, which is the latency in cycles, of a `bnn_sum` of `terms` terms of `width` bits.
  function automatic int unsigned sum_latency(int unsigned terms, int unsigned width);
    int unsigned left, levels;
    left   = terms;
    levels = 0;
    while (left > 1) begin
      left   = ceil_div(left, node_terms(levels == 0 ? width : 2));  // past the first level, no term is a bit
      levels = levels + 1;
    end
    return levels;
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

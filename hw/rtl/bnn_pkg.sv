// SPDX-License-Identifier: Apache-2.0

/// Sizes on which a module and the modules that instantiate it must agree.
package bnn_pkg;
  // An adder tree of LUT6 and short carry chains: 1.3 to 1.6 LUTs per synapse, about 1.8 ns per level on a Zynq-7000.
  localparam int unsigned Leaf  = 6;  // bits per node in the first level of a popcount
  localparam int unsigned Radix = 3;  // terms per node in any other level

  /// Latency of a `bnn_sum` of `terms` terms of `width` bits: the number of its registered levels.
  function automatic int unsigned sum_latency(int unsigned terms, int unsigned width);
    int unsigned left, levels;
    left   = terms;
    levels = 0;
    while (left > 1) begin
      left   = ceil_div(left, node_terms(levels == 0 ? width : 2));  // after the first level, terms have 2 bits or more
      levels = levels + 1;
    end
    return levels;
  endfunction

  /// Terms of `width` bits per node.
  function automatic int unsigned node_terms(int unsigned width);
    return width == 1 ? Leaf : Radix;
  endfunction

  localparam int unsigned Comparators = 15;  // of a lane of `bnn_steps`, at most; it searches among more thresholds

  /// Latency of `bnn_steps`.
  function automatic int unsigned steps_latency(int unsigned steps);
    return steps > Comparators ? 2 * $clog2(steps + 1) : steps > 1 ? 2 : 1;
  endfunction

  function automatic int unsigned ceil_div(int unsigned a, int unsigned b);
    return (a + b - 1) / b;
  endfunction

  /// Bits of an index below `n`, at least 1.
  function automatic int unsigned index_width(int unsigned n);
    return n > 1 ? $clog2(n) : 1;
  endfunction
endpackage : bnn_pkg

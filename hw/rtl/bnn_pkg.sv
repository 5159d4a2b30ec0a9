// SPDX-License-Identifier: Apache-2.0

/// Sizes on which a module and the modules that instantiate it must agree.
package bnn_pkg;
  // An adder tree of LUT6 and short carry chains: 1.3 to 1.6 LUTs per synapse, about 1.8 ns per level on a Zynq-7000.
  localparam int unsigned Leaf  = 6;  // bits per node in the first level of a popcount
  localparam int unsigned Radix = 3;  // terms per node in any other level

  /// Latency of a `bnn_sum` of `terms` terms of `width` bits, with a register after every `levels` levels.
  function automatic int unsigned sum_latency(int unsigned terms, int unsigned width, int unsigned levels);
    return ceil_div(sum_levels(terms, width), levels);
  endfunction

  /// Levels of a `bnn_sum`.
  function automatic int unsigned sum_levels(int unsigned terms, int unsigned width);
    int unsigned left;
    left       = terms;
    sum_levels = 0;
    while (left > 1) begin
      left       = ceil_div(left, node_terms(sum_levels == 0 ? width : 2));  // later, terms have 2 bits or more
      sum_levels = sum_levels + 1;
    end
  endfunction

  // A popcount in progress: how many bits there are of each weight, 1, 2, 4...
  localparam int unsigned MostColumns = 16;
  typedef logic [MostColumns-1:0][15:0] heights_t;

  /// Bits of the weights below column `end_column`.
  function automatic int unsigned total(heights_t heights, int unsigned end_column);
    total = 0;
    for (int unsigned w = 0; w < end_column; w++) total += 32'(heights[w]);
  endfunction

  /// Bits of the weight that has most.
  function automatic int unsigned tallest(heights_t heights);
    tallest = 0;
    for (int unsigned w = 0; w < MostColumns; w++) if (32'(heights[w]) > tallest) tallest = 32'(heights[w]);
  endfunction

  /// Bits that a counter takes: seven, or three where no weight has six.
  function automatic int unsigned share(heights_t heights);
    return tallest(heights) > 5 ? 7 : 3;
  endfunction

  /// Counters of a column: one of seven takes six bits, too.
  function automatic int unsigned counters(heights_t heights, int unsigned column);
    return share(heights) == 7 ? (32'(heights[column]) + 1) / 7 : 32'(heights[column]) / 3;
  endfunction

  /// Bits of a column that no counter takes.
  function automatic int unsigned left_over(heights_t heights, int unsigned column);
    int unsigned taken;
    taken = counters(heights, column) * share(heights);
    return taken < 32'(heights[column]) ? 32'(heights[column]) - taken : 0;
  endfunction

  /// The heights after a level of counters, of a sum of `width` bits.
  function automatic heights_t compressed(heights_t heights, int unsigned width);
    compressed = '0;
    for (int unsigned w = 0; w < width; w++) begin
      compressed[w] = 16'(left_over(heights, w) + counters(heights, w));
      if (w > 0) compressed[w] += 16'(counters(heights, w - 1));
      if (w > 1 && share(heights) == 7) compressed[w] += 16'(counters(heights, w - 2));
    end
  endfunction

  /// Where the bits from the counters `below` columns lower begin, after a level.
  function automatic int unsigned place(heights_t heights, int unsigned width, int unsigned column, int unsigned below);
    place = total(compressed(heights, width), column) + left_over(heights, column) + counters(heights, column);
    if (below == 2) place += counters(heights, column - 1);
  endfunction

  /// Latency of a `bnn_popcount`, with a register after every `levels` levels: that of the slower structure.
  function automatic int unsigned popcount_latency(int unsigned bits, bit weighted, int unsigned levels);
    int unsigned counted, added;
    counted = counted_levels(bits, weighted);
    added   = sum_levels(bits, 1);
    return ceil_div(counted > added ? counted : added, levels);
  endfunction

  /// Levels of a popcount by counters.
  function automatic int unsigned counted_levels(int unsigned bits, bit weighted);
    return weighted && bits > 1 ? 1 + compressor_levels(matched(bits), $clog2(bits + 1))
                                : compressor_levels(heights_t'(bits), $clog2(bits + 1));
  endfunction

  /// Levels of a `bnn_compressor`: those of its counters, and an adder.
  function automatic int unsigned compressor_levels(heights_t heights, int unsigned width);
    heights_t left;
    left              = heights;
    compressor_levels = 0;
    while (tallest(left) > 3) begin
      left              = compressed(left, width);
      compressor_levels = compressor_levels + 1;
    end
    if (tallest(left) > 1) compressor_levels = compressor_levels + 1;
  endfunction

  localparam int unsigned Matched = 5;  // positions of two words that `bnn_matches` makes three bits of

  /// Bits of weight 1 from `bnn_matches`.
  function automatic int unsigned matched_ones(int unsigned bits);
    return ceil_div(bits, Matched);
  endfunction

  /// Bits of weight 2 from `bnn_matches`.
  function automatic int unsigned matched_twos(int unsigned bits);
    return bits / Matched * (Matched / 2) + bits % Matched / 2;
  endfunction

  /// The heights after `bnn_matches`.
  function automatic heights_t matched(int unsigned bits);
    matched    = '0;
    matched[0] = 16'(matched_ones(bits));
    matched[1] = 16'(matched_twos(bits));
  endfunction

  /// Terms of `width` bits per node.
  function automatic int unsigned node_terms(int unsigned width);
    return width == 1 ? Leaf : Radix;
  endfunction

  /// Width of the sums of `bnn_signs`: up to three elements with any signs.
  function automatic int unsigned signs_width(int unsigned simd, int unsigned in_width, bit is_signed);
    return in_width + (simd < 3 ? simd : 3) - (is_signed ? 1 : 0);
  endfunction

  localparam int unsigned Choice = 8;  // words among which one level of `bnn_choice` chooses

  /// Latency of a `bnn_choice` among `banks` words.
  function automatic int unsigned bank_levels(int unsigned banks);
    int unsigned left;
    left        = banks;
    bank_levels = 0;
    while (left > 1) begin
      left        = ceil_div(left, Choice);
      bank_levels = bank_levels + 1;
    end
  endfunction

  localparam int unsigned Comparators = 15;  // of a lane of `bnn_steps`, at most; it searches among more thresholds

  /// Latency of a ROM in `banks` banks of block RAM.
  function automatic int unsigned block_latency(int unsigned banks, bit registered);
    return 2 + (banks > 1 ? bank_levels(banks) : registered ? 1 : 0);
  endfunction

  localparam int unsigned LutRamBits = 2048;  // of a memory that stays in LUTs, at most

  /// Cycles in which a memory of this size is read: block RAM has an output register.
  function automatic int unsigned ram_latency(int unsigned width, int unsigned depth);
    return width * depth > LutRamBits ? 2 : 1;
  endfunction

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

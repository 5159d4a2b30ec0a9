// SPDX-License-Identifier: Apache-2.0

/// Extends an element to an integer of OutWidth bits, by sign or zeros; a bipolar element becomes -1 or +1. No latency.
module bnn_value #(
  parameter int unsigned Width    = 4,
  parameter string       Kind     = "signed",  // "bipolar", "unsigned" or "signed"
  parameter int unsigned OutWidth = 5
) (
  input  logic [Width-1:0]    data_i,
  output logic [OutWidth-1:0] data_o
);
  if (Kind != "bipolar" && Kind != "unsigned" && Kind != "signed" || Kind == "bipolar" && Width != 1)
  begin : gen_check
    $fatal(1, "Kind %s, Width %0d: bipolar (1 bit), unsigned or signed", Kind, Width);
  end

  if (Kind == "bipolar") begin : gen_bipolar
    assign data_o = data_i[0] ? OutWidth'(1) : '1;
  end else if (Kind == "signed") begin : gen_signed
    assign data_o = OutWidth'($signed(data_i));
  end else begin : gen_unsigned
    assign data_o = OutWidth'(data_i);
  end
endmodule : bnn_value

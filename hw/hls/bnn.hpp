// SPDX-License-Identifier: Apache-2.0
#pragma once

// The stages of an accelerator as functions that read and write streams, a header each. A call processes one frame, a
// beat per cycle; under `#pragma HLS DATAFLOW` the functions run concurrently.
#include "bnn_add.hpp"
#include "bnn_affine.hpp"
#include "bnn_axis.hpp"
#include "bnn_concat.hpp"
#include "bnn_fifo.hpp"
#include "bnn_fork.hpp"
#include "bnn_grouped.hpp"
#include "bnn_label_select.hpp"
#include "bnn_mvu.hpp"
#include "bnn_pad.hpp"
#include "bnn_reduce.hpp"
#include "bnn_threshold.hpp"
#include "bnn_types.hpp"
#include "bnn_width_converter.hpp"
#include "bnn_window.hpp"

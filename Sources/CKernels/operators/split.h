// How the output of a convolution that is a matrix product is cut into tasks.
#pragma once

#include "../common.h"

// Groups times row chunks times panel ranges; neighbours of each kind differ by one block or panel at most.
struct qk_split {
  size_t rows, blocks; // blocks of the full kernel's rows
  size_t taps, kc;     // as packed: runs are one tap
  size_t row_chunks, panels, panel_chunks;
  size_t chunk_rows, chunk_panels; // of the largest task
  const struct qk_igemm_ukernel *full; // the kernel of all row blocks but the last
};

// The cut that takes `threads` threads the least time. Fewer threads make larger tasks.
struct qk_split qk_split_of(const struct qk_conv *conv, size_t threads);

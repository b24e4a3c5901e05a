// Declares every microkernel named in an enumerator.
#pragma once

#include "include/CKernels.h"

#define QK_UKERNEL(ISA, FUNCTION, MR, NR, KR)                                                                          \
  void FUNCTION(size_t rows, size_t cols, size_t kc, size_t taps, const void *const *a, const void *w, void *out,      \
                size_t out_stride, const struct qk_tail *tail);
#include "f32-igemm/f32-igemm.inc"
#include "qu8-igemm/qu8-igemm.inc"
#undef QK_UKERNEL

#define QK_UKERNEL(ISA, FUNCTION)                                                                                      \
  void FUNCTION(size_t pixels, size_t channels, size_t taps, const void *const *a, const void *w, void *out,           \
                size_t out_stride, const struct qk_tail *tail);
#include "f32-dwconv/f32-dwconv.inc"
#include "qu8-dwconv/qu8-dwconv.inc"
#undef QK_UKERNEL

#define QK_UKERNEL(ISA, FUNCTION, KH, KW, S) void FUNCTION(const struct qk_dwrow *row, const struct qk_tail *tail);
#include "f32-dwrow/f32-dwrow.inc"
#include "qu8-dwrow/qu8-dwrow.inc"
#undef QK_UKERNEL

#define QK_UKERNEL(ISA, INPUT, OUTPUT, TILE)                                                                           \
  void INPUT(size_t channels, const void *const *pixels, float *out, size_t plane);                                    \
  void OUTPUT(size_t channels, const float *products, size_t plane, void *const *pixels, const struct qk_tail *tail);
#include "f32-winograd/f32-winograd.inc"
#undef QK_UKERNEL

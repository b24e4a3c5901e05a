#pragma once

#include "include/CKernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

#define QK_INLINE static inline __attribute__((always_inline))
#define QK_UNROLL _Pragma("clang loop unroll(full)")

QK_INLINE size_t qk_min(size_t a, size_t b) { return a < b ? a : b; }
QK_INLINE size_t qk_round_up(size_t value, size_t step) { return (value + step - 1) / step * step; }
QK_INLINE size_t qk_ceil_div(size_t value, size_t step) { return (value + step - 1) / step; }

// Depth of one step of a kernel with tiles, at most 64: the depth is cut into as few equal steps as possible.
QK_INLINE size_t qk_tile_depth(size_t kc) {
  return kc == 0 ? 0 : qk_round_up(qk_ceil_div(kc, qk_ceil_div(kc, 64)), 4);
}

// Gives back this thread's tile registers, if a kernel has configured them.
void qk_release_tiles(void);
// Whether the integer products of this instruction set agree with the portable ones on a small block.
bool qk_self_check(enum qk_isa isa);

// NaN passes; equal to the vector maximum with the bound as first operand.
QK_INLINE float qk_clamp(float x, float lo, float hi) {
  x = x < lo ? lo : x;
  return x > hi ? hi : x;
}

// Round to nearest, ties to even, for |x| <= 2^22, as an integer.
QK_INLINE int32_t qk_rne(float x) {
  union {
    float f;
    int32_t i;
  } u = {.f = x + 12582912.0f};
  return u.i - 0x4B400000;
}

QK_INLINE uint8_t qk_requantize(int32_t acc, float scale, float lo, float hi, int32_t zero_point) {
  return (uint8_t)(qk_rne(qk_clamp((float)acc * scale, lo, hi)) + zero_point);
}

// Section 3 of arithmetic.md, for a range that includes 0.
QK_INLINE void qk_set_parameters(float lo, float hi, float *scale, uint8_t *zero_point) {
  const float width = hi - lo;
  *scale = (width > FLT_MAX ? FLT_MAX : width) / 255.0f;
  if (*scale < FLT_MIN) {
    *scale = 1.0f;
    *zero_point = 0;
  } else {
    *zero_point = (uint8_t)qk_rne(qk_clamp((0.0f - lo) / *scale, 0.0f, 255.0f));
  }
}

// Where the bytes lie that QK_TAIL_ADD adds to those of a row of results.
QK_INLINE const uint8_t *qk_addends(const void *row, const struct qk_tail *tail) {
  return (const uint8_t *)((uintptr_t)row + tail->addend);
}

// The addition of `add` on two bytes.
QK_INLINE uint8_t qk_add(uint8_t a, uint8_t b, const struct qk_u8_binary *add) {
  const int32_t zero_point = add->clamp.zero_point;
  const float left = (float)(a - add->za) * add->ma;
  const float right = (float)(b - add->zb) * add->mb;
  const float lo = (float)(add->clamp.lowest - zero_point), hi = (float)(add->clamp.highest - zero_point);
  return (uint8_t)(qk_rne(qk_clamp(left + right, lo, hi)) + zero_point);
}

// The integer tail on one sum; sums wrap like the vector kernels'.
QK_INLINE void qk_tail1(int32_t acc, size_t at, void *row, const struct qk_tail *tail) {
  const int32_t sum = (int32_t)((uint32_t)acc + (uint32_t)tail->start[at]);
  if (tail->kind == QK_TAIL_REQUANTIZE || tail->kind == QK_TAIL_ADD) {
    const uint8_t byte = qk_requantize(sum, tail->scale[at], tail->lo, tail->hi, tail->zero_point);
    ((uint8_t *)row)[at] =
        tail->kind == QK_TAIL_ADD ? qk_add(byte, qk_addends(row, tail)[at], tail->add) : byte;
  } else if (tail->kind == QK_TAIL_SUMS || tail->kind == QK_TAIL_ROWS) {
    ((int32_t *)row)[at] = tail->kind == QK_TAIL_SUMS ? sum : acc;
  } else {
    const float product = (float)sum * tail->scale[at];
    ((float *)row)[at] = qk_clamp(product + tail->bias[at], tail->lo, tail->hi);
  }
}

// What is left of QK_TAIL_ROWS where the rows of `out` hold bare sums; nothing for other kinds.
QK_INLINE void qk_finish_rows(size_t rows, size_t cols, void *out, size_t out_stride, const struct qk_tail *tail) {
  for (size_t i = 0; i < rows && tail->kind == QK_TAIL_ROWS; i++) {
    char *row = (char *)out + i * out_stride;
    const float row_scale = tail->row_scale[i];
    const uint32_t row_zero_point = tail->row_zero_point[i];
    for (size_t j = 0; j < cols; j++) {
      uint32_t sum;
      memcpy(&sum, row + j * sizeof sum, sizeof sum);
      sum -= row_zero_point * (uint32_t)tail->start[j];
      const float product = (float)(int32_t)sum * (row_scale * tail->scale[j]);
      const float result = product + tail->bias[j];
      memcpy(row + j * sizeof result, &result, sizeof result);
    }
  }
}

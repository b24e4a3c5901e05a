// The integer tail on 4 sums.
#pragma once

#include "common.h"

#include <arm_neon.h>

// As qk_clamp; vmaxq_f32 would turn -0 into the bound 0.
QK_INLINE float32x4_t qk_clamp4(float32x4_t x, float32x4_t lo, float32x4_t hi) {
  x = vbslq_f32(vcltq_f32(x, lo), lo, x);
  return vbslq_f32(vcgtq_f32(x, hi), hi, x);
}

// Stores `count` elements of `size` bytes, or 4 of them if there are more.
QK_INLINE void qk_store4(void *to, const void *from, size_t count, size_t size) {
  if (count >= 4) {
    memcpy(to, from, 4 * size);
  } else {
    for (size_t i = 0; i < count; i++) memcpy((char *)to + i * size, (const char *)from + i * size, size);
  }
}

// Adds 4 bytes to 4 others less their zero point; the sums lack the zero point of the result.
QK_INLINE int32x4_t qk_added4(int32x4_t a, const uint8_t *bytes, const struct qk_u8_binary *add) {
  const int zero_point = add->clamp.zero_point;
  uint32_t four;
  memcpy(&four, bytes, 4);
  const uint16x4_t words = vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four))));
  const int32x4_t b = vsubq_s32(vreinterpretq_s32_u32(vmovl_u16(words)), vdupq_n_s32(add->zb));
  const float32x4_t sum = vaddq_f32(vmulq_f32(vcvtq_f32_s32(a), vdupq_n_f32(add->ma)),
                                    vmulq_f32(vcvtq_f32_s32(b), vdupq_n_f32(add->mb)));
  const float32x4_t lo = vdupq_n_f32((float)(add->clamp.lowest - zero_point));
  const float32x4_t hi = vdupq_n_f32((float)(add->clamp.highest - zero_point));
  return vcvtnq_s32_f32(qk_clamp4(sum, lo, hi));
}

// Stores `count` columns of one row; `at` is the first column's index in the tail's arrays and the row.
QK_INLINE void qk_tail4(int32x4_t acc, size_t at, size_t count, void *row, const struct qk_tail *tail) {
  const int32x4_t sum = vaddq_s32(acc, vld1q_s32(tail->start + at));
  const float32x4_t product = vmulq_f32(vcvtq_f32_s32(sum), vld1q_f32(tail->scale + at));
  const float32x4_t lo = vdupq_n_f32(tail->lo), hi = vdupq_n_f32(tail->hi);
  if (tail->kind == QK_TAIL_REQUANTIZE || tail->kind == QK_TAIL_ADD) {
    int32x4_t v = vcvtnq_s32_f32(qk_clamp4(product, lo, hi));
    int zero_point = tail->zero_point;
    if (tail->kind == QK_TAIL_ADD) {
      v = qk_added4(v, qk_addends(row, tail) + at, tail->add);
      zero_point = tail->add->clamp.zero_point;
    }
    const int32x4_t q = vaddq_s32(v, vdupq_n_s32(zero_point));
    const uint16x4_t words = vqmovun_s32(q);
    const uint32_t bytes = vget_lane_u32(vreinterpret_u32_u8(vqmovn_u16(vcombine_u16(words, words))), 0);
    qk_store4((uint8_t *)row + at, &bytes, count, 1);
  } else if (tail->kind == QK_TAIL_SUMS || tail->kind == QK_TAIL_ROWS) {
    int32_t rest[4];
    vst1q_s32(rest, tail->kind == QK_TAIL_SUMS ? sum : acc);
    qk_store4((int32_t *)row + at, rest, count, sizeof(int32_t));
  } else {
    float rest[4];
    vst1q_f32(rest, qk_clamp4(vaddq_f32(product, vld1q_f32(tail->bias + at)), lo, hi));
    qk_store4((float *)row + at, rest, count, sizeof(float));
  }
}

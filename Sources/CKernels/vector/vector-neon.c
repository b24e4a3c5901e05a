#if defined(__aarch64__)
#include "../common.h"

#include <arm_neon.h>

#define QK_VECTOR_NAME "neon"
#define QK_VECTOR_ISA QK_ISA_NEON
#define QK_VECTOR_TABLE qk_vector_ops__neon
#define QK_VECTOR_TABLE_U8 table_u8

// The table as 4 quarters of 64 entries; a look-up changes only the bytes whose index lies in its quarter.
static void table_u8(size_t n, const uint8_t *x, uint8_t *out, const uint8_t *table) {
  const uint8x16x4_t t0 = vld1q_u8_x4(table), t1 = vld1q_u8_x4(table + 64);
  const uint8x16x4_t t2 = vld1q_u8_x4(table + 128), t3 = vld1q_u8_x4(table + 192);
  const uint8x16_t step = vdupq_n_u8(64);
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const uint8x16_t i0 = vld1q_u8(x + i), i1 = vsubq_u8(i0, step), i2 = vsubq_u8(i1, step), i3 = vsubq_u8(i2, step);
    vst1q_u8(out + i, vqtbx4q_u8(vqtbx4q_u8(vqtbx4q_u8(vqtbl4q_u8(t0, i0), t1, i1), t2, i2), t3, i3));
  }
  for (; i < n; i++) out[i] = table[x[i]];
}

#include "vector-template.h"
#endif

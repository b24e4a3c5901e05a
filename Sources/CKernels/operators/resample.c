#include "../common.h"

struct pick_job {
  const struct qk_pick *op;
  const char *in;
  char *out;
};

// One row of the result.
static void pick_task(void *context, size_t index, size_t thread) {
  const struct pick_job *j = context;
  const struct qk_pick *op = j->op;
  (void)thread;
  const int64_t row = op->rows[index % op->row_count];
  const char *const in = j->in + index / op->row_count * op->in_pixels * op->bytes;
  char *out = j->out + index * op->column_count * op->bytes;
  for (size_t i = 0; i < op->column_count; i++, out += op->bytes) {
    const int64_t column = op->columns[i];
    const char *from = row < 0 || column < 0 ? (const char *)op->filler : in + (size_t)(row + column) * op->bytes;
    memcpy(out, from, op->bytes);
  }
}

void qk_pick_run(const struct qk_pick *op, const void *in, void *out, struct qk_pool *pool) {
  struct pick_job job = {op, in, out};
  qk_pool_run(pool, op->batch * op->row_count, &job, pick_task);
}

struct bilinear_job {
  const struct qk_bilinear *op;
  const float *in;
  float *out;
};

static void bilinear_task(void *context, size_t index, size_t thread) {
  const struct bilinear_job *j = context;
  const struct qk_bilinear *op = j->op;
  (void)thread;
  const struct qk_linear_tap row = op->rows[index % op->row_count];
  const size_t channels = op->channels, width = op->in_width * channels;
  const float *const image = j->in + index / op->row_count * op->in_height * width;
  const float *const above = image + row.low * width, *const below = image + row.high * width;
  float *out = j->out + index * op->column_count * channels;
  const float down = row.weight, up = 1.0f - down;
  for (size_t i = 0; i < op->column_count; i++, out += channels) {
    const struct qk_linear_tap column = op->columns[i];
    const float right = column.weight, left = 1.0f - right;
    const float *const a = above + column.low * channels, *const b = above + column.high * channels;
    const float *const c = below + column.low * channels, *const d = below + column.high * channels;
    for (size_t k = 0; k < channels; k++) {
      const float top = a[k] * left + b[k] * right, bottom = c[k] * left + d[k] * right;
      out[k] = top * up + bottom * down;
    }
  }
}

void qk_f32_bilinear_run(const struct qk_bilinear *op, const float *in, float *out, struct qk_pool *pool) {
  struct bilinear_job job = {op, in, out};
  qk_pool_run(pool, op->batch * op->row_count, &job, bilinear_task);
}

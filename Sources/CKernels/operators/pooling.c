#include "../common.h"

struct job {
  const struct qk_pooling *p;
  const struct qk_vector_ops *ops;
  const void *in;
  void *out;
  const uint8_t *table;
  const float *multipliers;
  const struct qk_u8_clamp *clamp;
  uint8_t zero_point;
  struct qk_scratch scratch;
};

// The taps of one output along one axis that lie inside of the input.
struct taps {
  size_t begin, end; // tap indices
  size_t counted;    // taps inside of the padded input
};

static struct taps taps_at(size_t o, size_t stride, size_t pad, size_t pad_end, size_t dilation, size_t kernel,
                           size_t extent) {
  struct taps t = {kernel, 0, 0};
  for (size_t k = 0; k < kernel; k++) {
    const size_t padded = o * stride + k * dilation;
    if (padded < pad + extent + pad_end) t.counted++;
    if (padded < pad || padded - pad >= extent) continue;
    if (k < t.begin) t.begin = k;
    t.end = k + 1;
  }
  if (t.end == 0) t.begin = 0;
  return t;
}

static struct taps row_taps(const struct qk_pooling *p, size_t oy) {
  return taps_at(oy, p->sh, p->pt, p->pb, p->dh, p->kh, p->ih);
}

static struct taps column_taps(const struct qk_pooling *p, size_t ox) {
  return taps_at(ox, p->sw, p->pl, p->pr, p->dw, p->kw, p->iw);
}

static size_t divisor(const struct qk_pooling *p, struct taps rows, struct taps columns) {
  if (p->count_include_pad) return rows.counted * columns.counted;
  return (rows.end - rows.begin) * (columns.end - columns.begin);
}

// Index of the pixel of image n under tap (ky, kx) of output (oy, ox).
QK_INLINE size_t pixel(const struct qk_pooling *p, size_t n, size_t oy, size_t ox, size_t ky, size_t kx) {
  return (n * p->ih + oy * p->sh + ky * p->dh - p->pt) * p->iw + ox * p->sw + kx * p->dw - p->pl;
}

// One row of output pixels; `VISIT` handles one tap `x`, the first of a window if `first`; `FINISH` ends a window.
#define QK_POOL_TASK(NAME, TYPE, BEGIN, VISIT, FINISH)                                                                 \
  static void NAME(void *context, size_t index, size_t thread) {                                                       \
    const struct job *j = context;                                                                                     \
    const struct qk_pooling *p = j->p;                                                                                 \
    (void)thread;                                                                                                      \
    const size_t n = index / p->oh, oy = index % p->oh, channels = p->channels;                                        \
    const struct taps rows = row_taps(p, oy);                                                                          \
    for (size_t ox = 0; ox < p->ow; ox++) {                                                                            \
      const struct taps columns = column_taps(p, ox);                                                                  \
      TYPE *out = (TYPE *)j->out + (index * p->ow + ox) * channels;                                                    \
      BEGIN;                                                                                                           \
      for (size_t ky = rows.begin; ky < rows.end; ky++) {                                                              \
        for (size_t kx = columns.begin; kx < columns.end; kx++) {                                                      \
          const TYPE *x = (const TYPE *)j->in + pixel(p, n, oy, ox, ky, kx) * channels;                                \
          const bool first = ky == rows.begin && kx == columns.begin;                                                  \
          VISIT;                                                                                                       \
        }                                                                                                              \
      }                                                                                                                \
      FINISH;                                                                                                          \
    }                                                                                                                  \
  }

#define QK_COPY_OR(FUNCTION)                                                                                           \
  if (first) memcpy(out, x, channels * sizeof *out);                                                                   \
  else j->ops->FUNCTION(channels, x, out)

QK_POOL_TASK(max_f32_task, float, , QK_COPY_OR(max_f32), )
QK_POOL_TASK(average_f32_task, float, , QK_COPY_OR(accumulate_f32),
             j->ops->scale_f32(channels, out, 1.0f / (float)divisor(p, rows, columns)))
QK_POOL_TASK(average_u8_task, uint8_t,
             int32_t *sums = (int32_t *)(void *)((char *)j->scratch.base + thread * j->scratch.stride);
             memset(sums, 0, channels * sizeof *sums), (void)first;
             j->ops->accumulate_u8(channels, x, sums), {
               const size_t taps = (rows.end - rows.begin) * (columns.end - columns.begin);
               j->ops->mean_u8(channels, sums, out, (int32_t)taps * j->zero_point,
                               j->multipliers[divisor(p, rows, columns)], j->clamp);
             })

// The maximum over the rows of a window for a whole line, then that over its columns.
static void max_u8_task(void *context, size_t index, size_t thread) {
  const struct job *j = context;
  const struct qk_pooling *p = j->p;
  const size_t n = index / p->oh, oy = index % p->oh, channels = p->channels, bytes = p->iw * channels;
  const struct taps rows = row_taps(p, oy);
  uint8_t *line = (uint8_t *)j->scratch.base + thread * j->scratch.stride;
  for (size_t ky = rows.begin; ky < rows.end; ky++) {
    const uint8_t *x = (const uint8_t *)j->in + (n * p->ih + oy * p->sh + ky * p->dh - p->pt) * bytes;
    if (ky == rows.begin) memcpy(line, x, bytes);
    else j->ops->max_u8(bytes, x, line);
  }
  uint8_t *out = (uint8_t *)j->out + index * p->ow * channels;
  for (size_t ox = 0; ox < p->ow; ox++) {
    const struct taps columns = column_taps(p, ox);
    uint8_t *pixel = out + ox * channels;
    for (size_t kx = columns.begin; kx < columns.end; kx++) {
      const uint8_t *x = line + (ox * p->sw + kx * p->dw - p->pl) * channels;
      if (kx == columns.begin) memcpy(pixel, x, channels);
      else j->ops->max_u8(channels, x, pixel);
    }
  }
  if (j->table != NULL) j->ops->table_u8(p->ow * channels, out, out, j->table);
}

static void run(struct job *job, struct qk_pool *pool, qk_task_fn task) {
  job->ops = qk_vector_ops(job->p->isa);
  qk_pool_run(pool, job->p->batch * job->p->oh, job, task);
}

size_t qk_pool_scratch_bytes(const struct qk_pooling *p) {
  const size_t sums = p->channels * sizeof(int32_t), line = p->iw * p->channels;
  return qk_round_up(sums < line ? line : sums, 64) + QK_TAIL_PADDING;
}

void qk_f32_max_pool(const struct qk_pooling *p, const float *in, float *out, struct qk_pool *pool) {
  struct job job = {.p = p, .in = in, .out = out};
  run(&job, pool, max_f32_task);
}

void qk_f32_average_pool(const struct qk_pooling *p, const float *in, float *out, struct qk_pool *pool) {
  struct job job = {.p = p, .in = in, .out = out};
  run(&job, pool, average_f32_task);
}

void qk_u8_max_pool(const struct qk_pooling *p, const uint8_t *in, uint8_t *out, const uint8_t *table,
                    struct qk_pool *pool, struct qk_scratch scratch) {
  struct job job = {.p = p, .in = in, .out = out, .table = table, .scratch = scratch};
  run(&job, pool, max_u8_task);
}

void qk_u8_average_pool(const struct qk_pooling *p, const uint8_t *in, uint8_t *out, uint8_t zero_point,
                        const float *multipliers, const struct qk_u8_clamp *clamp, struct qk_pool *pool,
                        struct qk_scratch scratch) {
  struct job job = {.p = p,
                    .in = in,
                    .out = out,
                    .multipliers = multipliers,
                    .clamp = clamp,
                    .zero_point = zero_point,
                    .scratch = scratch};
  run(&job, pool, average_u8_task);
}

#include "../common.h"

#include <float.h>

// Elements of one task: enough to hide the cost of handing it out, few enough for the L2 cache.
#define CHUNK 32768

struct job {
  const struct qk_vector_ops *ops;
  size_t n, channels, pixels;
  const void *a, *b;
  void *out;
  const void *params;
  float scale;
  uint8_t zero_point;
  enum qk_float_binary function;
  float *ranges;
  bool guarded;
};

static void run(size_t n, struct job *job, struct qk_pool *pool, qk_task_fn task) {
  job->n = n;
  qk_pool_run(pool, qk_ceil_div(n, CHUNK), job, task);
}

#define QK_CHUNK                                                                                                       \
  const struct job *j = context;                                                                                       \
  const size_t at = index * CHUNK, n = qk_min(CHUNK, j->n - at);                                                       \
  (void)thread;

static void binary_u8_task(void *context, size_t index, size_t thread) {
  QK_CHUNK
  j->ops->binary_u8(n, (const uint8_t *)j->a + at, (const uint8_t *)j->b + at, (uint8_t *)j->out + at, j->params);
}

void qk_u8_binary_run(enum qk_isa isa, size_t n, const uint8_t *a, const uint8_t *b, uint8_t *out,
                      const struct qk_u8_binary *params, struct qk_pool *pool) {
  struct job job = {.ops = qk_vector_ops(isa), .a = a, .b = b, .out = out, .params = params};
  run(n, &job, pool, binary_u8_task);
}

static void binary_f32_task(void *context, size_t index, size_t thread) {
  QK_CHUNK
  j->ops->binary_f32(n, (const float *)j->a + at, (const float *)j->b + at, (float *)j->out + at, j->function);
}

void qk_f32_binary_run(enum qk_isa isa, size_t n, const float *a, const float *b, float *out,
                       enum qk_float_binary function, struct qk_pool *pool) {
  struct job job = {.ops = qk_vector_ops(isa), .a = a, .b = b, .out = out, .function = function};
  run(n, &job, pool, binary_f32_task);
}

static void binary_f32_scalar_task(void *context, size_t index, size_t thread) {
  QK_CHUNK
  j->ops->binary_f32_scalar(n, (const float *)j->a + at, j->scale, (float *)j->out + at, j->function);
}

void qk_f32_binary_scalar_run(enum qk_isa isa, size_t n, const float *a, float b, float *out,
                              enum qk_float_binary function, struct qk_pool *pool) {
  struct job job = {.ops = qk_vector_ops(isa), .a = a, .out = out, .scale = b, .function = function};
  run(n, &job, pool, binary_f32_scalar_task);
}

// A task is a run of pixels.
static size_t pixels_per_task(size_t channels) { return channels >= CHUNK ? 1 : CHUNK / (channels + 1) + 1; }

static void binary_u8_channels_task(void *context, size_t index, size_t thread) {
  const struct job *j = context;
  (void)thread;
  const size_t step = pixels_per_task(j->channels), first = index * step, end = qk_min(j->n, first + step);
  for (size_t i = first; i < end; i++) {
    const uint8_t *b = (const uint8_t *)j->b + i / j->pixels * j->channels;
    const size_t at = i * j->channels;
    j->ops->binary_u8(j->channels, (const uint8_t *)j->a + at, b, (uint8_t *)j->out + at, j->params);
  }
}

void qk_u8_binary_channels_run(enum qk_isa isa, size_t batch, size_t pixels, size_t channels, const uint8_t *a,
                               const uint8_t *b, uint8_t *out, const struct qk_u8_binary *params,
                               struct qk_pool *pool) {
  struct job job = {.ops = qk_vector_ops(isa), .n = batch * pixels, .channels = channels, .pixels = pixels,
                    .a = a,                    .b = b,              .out = out,           .params = params};
  qk_pool_run(pool, qk_ceil_div(job.n, pixels_per_task(channels)), &job, binary_u8_channels_task);
}

static void binary_f32_channels_task(void *context, size_t index, size_t thread) {
  const struct job *j = context;
  (void)thread;
  const size_t step = pixels_per_task(j->channels), first = index * step, end = qk_min(j->n, first + step);
  for (size_t i = first; i < end; i++) {
    const float *b = (const float *)j->b + i / j->pixels * j->channels;
    const size_t at = i * j->channels;
    j->ops->binary_f32(j->channels, (const float *)j->a + at, b, (float *)j->out + at, j->function);
  }
}

void qk_f32_binary_channels_run(enum qk_isa isa, size_t batch, size_t pixels, size_t channels, const float *a,
                                const float *b, float *out, enum qk_float_binary function, struct qk_pool *pool) {
  struct job job = {.ops = qk_vector_ops(isa), .n = batch * pixels, .channels = channels, .pixels = pixels,
                    .a = a,                    .b = b,              .out = out,           .function = function};
  qk_pool_run(pool, qk_ceil_div(job.n, pixels_per_task(channels)), &job, binary_f32_channels_task);
}

static void activate_task(void *context, size_t index, size_t thread) {
  QK_CHUNK
  j->ops->activate(n, (const float *)j->a + at, (float *)j->out + at, j->params);
}

void qk_f32_activate_run(enum qk_isa isa, size_t n, const float *x, float *out, const struct qk_activation *activation,
                         struct qk_pool *pool) {
  struct job job = {.ops = qk_vector_ops(isa), .a = x, .out = out, .params = activation};
  run(n, &job, pool, activate_task);
}

static void table_task(void *context, size_t index, size_t thread) {
  QK_CHUNK
  j->ops->table_u8(n, (const uint8_t *)j->a + at, (uint8_t *)j->out + at, j->params);
}

void qk_table_run(enum qk_isa isa, size_t n, const uint8_t *x, uint8_t *out, const uint8_t *table,
                  struct qk_pool *pool) {
  struct job job = {.ops = qk_vector_ops(isa), .a = x, .out = out, .params = table};
  run(n, &job, pool, table_task);
}

static void quantize_task(void *context, size_t index, size_t thread) {
  QK_CHUNK
  j->ops->quantize_u8(n, (const float *)j->a + at, (uint8_t *)j->out + at, j->scale, j->zero_point);
}

void qk_quantize_run(enum qk_isa isa, size_t n, const float *x, uint8_t *out, float scale, uint8_t zero_point,
                     struct qk_pool *pool) {
  struct job job = {.ops = qk_vector_ops(isa), .a = x, .out = out, .scale = scale, .zero_point = zero_point};
  run(n, &job, pool, quantize_task);
}

static void dequantize_task(void *context, size_t index, size_t thread) {
  QK_CHUNK
  j->ops->dequantize_u8(n, (const uint8_t *)j->a + at, (float *)j->out + at, j->scale, j->zero_point);
}

void qk_dequantize_run(enum qk_isa isa, size_t n, const uint8_t *x, float *out, float scale, uint8_t zero_point,
                       struct qk_pool *pool) {
  struct job job = {.ops = qk_vector_ops(isa), .a = x, .out = out, .scale = scale, .zero_point = zero_point};
  run(n, &job, pool, dequantize_task);
}

// Parts whose ranges are taken separately.
#define RANGE_PARTS 64

static void range_task(void *context, size_t index, size_t thread) {
  const struct job *j = context;
  (void)thread;
  const size_t step = qk_ceil_div(j->n, RANGE_PARTS), first = qk_min(j->n, index * step);
  const size_t n = qk_min(step, j->n - first);
  j->ops->range(n, (const float *)j->a + first, &j->ranges[2 * index], &j->ranges[2 * index + 1]);
}

void qk_dynamic_quantize_run(enum qk_isa isa, size_t n, const float *x, const float *range, uint8_t *out, float *scale,
                             uint8_t *zero_point, struct qk_pool *pool) {
  float ranges[2 * RANGE_PARTS] = {0}, lo = 0.0f, hi = 0.0f;
  struct job job = {.ops = qk_vector_ops(isa), .n = n, .a = x, .ranges = ranges};
  if (range != NULL) {
    lo = range[0];
    hi = range[1];
  } else if (n < CHUNK) {
    job.ops->range(n, x, &lo, &hi);
  } else {
    qk_pool_run(pool, RANGE_PARTS, &job, range_task);
  }
  for (size_t i = 0; i < RANGE_PARTS; i++) {
    lo = ranges[2 * i] < lo ? ranges[2 * i] : lo;
    hi = ranges[2 * i + 1] > hi ? ranges[2 * i + 1] : hi;
  }
  qk_set_parameters(lo, hi, scale, zero_point);
  qk_quantize_run(isa, n, x, out, *scale, *zero_point, pool);
}

struct transpose_job {
  size_t size, channels, pixels;
  const char *in;
  char *out;
};

#define TILE 32

#define QK_TRANSPOSE(TYPE)                                                                                             \
  static void transpose_##TYPE(const struct transpose_job *j, size_t image, size_t first) {                            \
    const TYPE *in = (const TYPE *)(const void *)j->in + image * j->channels * j->pixels;                              \
    TYPE *out = (TYPE *)(void *)j->out + image * j->channels * j->pixels;                                              \
    const size_t end = qk_min(j->pixels, first + TILE);                                                                \
    for (size_t c0 = 0; c0 < j->channels; c0 += TILE) {                                                                \
      const size_t c1 = qk_min(j->channels, c0 + TILE);                                                                \
      for (size_t p = first; p < end; p++) {                                                                           \
        for (size_t c = c0; c < c1; c++) out[p * j->channels + c] = in[c * j->pixels + p];                             \
      }                                                                                                                \
    }                                                                                                                  \
  }

QK_TRANSPOSE(uint8_t)
QK_TRANSPOSE(uint32_t)

// A run of 16 tiles of pixels of one image.
static void transpose_task(void *context, size_t index, size_t thread) {
  const struct transpose_job *j = context;
  (void)thread;
  const size_t runs = qk_ceil_div(j->pixels, 16 * TILE), image = index / runs;
  const size_t first = index % runs * 16 * TILE, end = qk_min(j->pixels, first + 16 * TILE);
  if (j->channels == 3) {
    const struct qk_vector_ops *ops = qk_vector_ops(qk_isa_best());
    const size_t at = image * 3 * j->pixels;
    const char *in = j->in + (at + first) * j->size;
    char *out = j->out + (at + 3 * first) * j->size;
    if (j->size == 1) ops->interleave3_u8(end - first, (const uint8_t *)in, j->pixels, (uint8_t *)out);
    else ops->interleave3_f32(end - first, (const float *)(const void *)in, j->pixels, (float *)(void *)out);
    return;
  }
  for (size_t p = first; p < end; p += TILE) {
    if (j->size == 1) transpose_uint8_t(j, image, p);
    else transpose_uint32_t(j, image, p);
  }
}

void qk_transpose_run(size_t size, size_t batch, size_t channels, size_t pixels, const void *in, void *out,
                      struct qk_pool *pool) {
  if (channels == 1 || pixels == 1) {
    memcpy(out, in, batch * channels * pixels * size);
    return;
  }
  struct transpose_job job = {size, channels, pixels, in, out};
  qk_pool_run(pool, batch * qk_ceil_div(pixels, 16 * TILE), &job, transpose_task);
}

void qk_copy_rows(size_t rows, size_t bytes, const void *in, size_t in_stride, void *out, size_t out_stride,
                  const uint8_t *table) {
  const struct qk_vector_ops *ops = qk_vector_ops(qk_isa_best());
  for (size_t i = 0; i < rows; i++) {
    const uint8_t *from = (const uint8_t *)in + i * in_stride;
    uint8_t *to = (uint8_t *)out + i * out_stride;
    if (table == NULL) {
      memcpy(to, from, bytes);
      continue;
    }
    ops->table_u8(bytes, from, to, table);
  }
}

static void softmax_task(void *context, size_t index, size_t thread) {
  const struct job *j = context;
  (void)thread;
  const size_t at = index * j->channels;
  float *const out = (float *)j->out + at;
  j->ops->softmax(j->channels, (const float *)j->a + at, out);
  // One that is no number makes the sum none, and so all.
  if (j->guarded && out[0] != out[0]) memset(out, 0, j->channels * sizeof(float));
}

void qk_f32_softmax_run(enum qk_isa isa, size_t rows, size_t columns, const float *x, float *out, bool guarded,
                        struct qk_pool *pool) {
  struct job job = {.ops = qk_vector_ops(isa), .channels = columns, .a = x, .out = out, .guarded = guarded};
  qk_pool_run(pool, rows, &job, softmax_task);
}

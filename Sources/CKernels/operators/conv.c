#include "split.h"
#include "winograd.h"

size_t qk_conv_run_length(enum qk_dtype dtype, size_t kc, size_t kw) {
  return kc < (dtype == QK_F32 ? 8 : 16) ? kw : 1;
}

static size_t element_size(const struct qk_conv *conv) { return conv->dtype == QK_F32 ? sizeof(float) : 1; }

// The address of a tap for output column 0, and the distance to that for the next column.
struct place {
  uintptr_t first;
  size_t step;
};

// Bytes of gathered runs per row: every run starts at a multiple of 4 bytes and may be read up to the next one.
static size_t gathered_bytes(const struct qk_conv *conv) {
  return conv->run == 1 ? 0 : conv->kh * qk_round_up(conv->run * conv->kc, 4) * element_size(conv);
}

// One thread's scratch: one tap of padding, where the taps of a row of output pixels are, row pointers, gathered runs,
// float results before quantization.
struct layout {
  size_t places, pointers, gathered, results, bytes;
};

static struct layout layout_of(const struct qk_conv *conv, size_t rows, size_t columns) {
  const size_t tap = (conv->depthwise ? conv->groups : conv->run * conv->kc) * element_size(conv);
  struct layout l;
  l.places = qk_round_up(tap + QK_TAIL_PADDING, 64);
  l.pointers = l.places + qk_round_up(conv->kh * conv->kw * sizeof(struct place), 64);
  l.gathered = l.pointers + qk_round_up(rows * conv->kh * conv->kw * sizeof(void *), 64);
  l.results = l.gathered + qk_round_up(rows * gathered_bytes(conv), 64);
  const bool staged = conv->post != NULL && conv->post->quantize;
  l.bytes = l.results + (staged ? qk_round_up(rows * columns * sizeof(float), 64) : 0);
  return l;
}

size_t qk_conv_scratch_bytes(const struct qk_conv *conv) {
  if (conv->tile > 0) return qk_winograd_scratch_bytes(conv);
  if (conv->depthwise) return layout_of(conv, conv->ow, conv->groups).bytes;
  // Fewer threads make longer panel ranges, one thread the longest.
  const struct qk_split s = qk_split_of(conv, 1);
  return layout_of(conv, s.chunk_rows, s.panels * conv->nr).bytes;
}

// The least and the largest result of one thread, on a cache line of their own.
struct extremes {
  _Alignas(64) float lo;
  float hi;
};

struct job {
  const struct qk_conv *conv;
  const char *in;
  char *out;
  uint8_t pad;
  struct qk_tail tail;
  struct qk_split split;
  struct qk_scratch scratch;
  struct extremes *extremes; // per thread
};

// An output pixel and the image it reads.
struct cursor {
  size_t ox, oy;
  const char *image;
};

static struct cursor cursor_at(const struct job *job, size_t pixel, size_t offset) {
  const struct qk_conv *c = job->conv;
  const size_t row = pixel / c->ow, n = row / c->oh;
  return (struct cursor){pixel - row * c->ow, row - n * c->oh, job->in + n * c->ih * c->iw * c->in_stride + offset};
}

// Moves on by `pixels` of the same line.
static void advance(const struct qk_conv *c, struct cursor *at, size_t pixels) {
  at->ox += pixels;
  if (at->ox < c->ow) return;
  at->ox = 0;
  if (++at->oy < c->oh) return;
  at->oy = 0;
  at->image += c->ih * c->iw * c->in_stride;
}

// Output columns all of whose taps are inside of the image and lie there as the kernel reads them.
struct inner {
  size_t first, end;
};

static struct inner inner_columns(const struct qk_conv *c) {
  const size_t reach = (c->kw - 1) * c->dw;
  const bool is_dense = c->run == 1 || (c->dw == 1 && c->in_stride == c->kc * element_size(c));
  if (!is_dense || c->iw + c->pl <= reach) return (struct inner){0, 0};
  return (struct inner){qk_ceil_div(c->pl, c->sw), qk_min(c->ow, (c->iw + c->pl - reach - 1) / c->sw + 1)};
}

// Finds the taps of a row of output pixels.
static void find_places(const struct qk_conv *c, struct cursor at, const char *padding, struct place *to) {
  size_t y = at.oy * c->sh - c->pt;
  for (size_t ky = 0; ky < c->kh; ky++, y += c->dh) {
    const uintptr_t line = (uintptr_t)at.image + y * c->iw * c->in_stride;
    for (size_t kx = 0; kx < c->kw; kx += c->run, to++) {
      *to = y < c->ih ? (struct place){line + (kx * c->dw - c->pl) * c->in_stride, c->sw * c->in_stride}
                      : (struct place){(uintptr_t)padding, 0};
    }
  }
}

// Writes addresses that are `step` bytes apart. Few at a time, so that vectors, whose products of 64 bits are slow, do
// not pay.
static void spaced_addresses(size_t count, uintptr_t first, size_t step, const void **to) {
#pragma clang loop vectorize(disable)
  for (size_t i = 0; i < count; i++, first += step) to[i] = (const void *)first;
}

// Writes the addresses of the taps of one output pixel, `step` apart.
static void tap_addresses(const struct qk_conv *c, struct cursor at, const char *padding, size_t step,
                          const void **to) {
  const size_t x0 = at.ox * c->sw - c->pl;
  size_t y = at.oy * c->sh - c->pt;
  for (size_t ky = 0; ky < c->kh; ky++, y += c->dh) {
    const bool inside = y < c->ih;
    const char *line = at.image + y * c->iw * c->in_stride;
    size_t x = x0;
    for (size_t kx = 0; kx < c->kw; kx++, to += step, x += c->dw) {
      *to = inside && x < c->iw ? line + x * c->in_stride : padding;
    }
  }
}

// Copies the runs of one output pixel to `gathered`, and writes their addresses `step` apart.
static void run_addresses(const struct qk_conv *c, struct cursor at, const char *padding, size_t step, const void **to,
                          char *gathered) {
  const size_t size = c->kc * element_size(c), x0 = at.ox * c->sw - c->pl;
  const size_t bytes = qk_round_up(c->run * c->kc, 4) * element_size(c);
  size_t y = at.oy * c->sh - c->pt;
  for (size_t ky = 0; ky < c->kh; ky++, y += c->dh, to += step, gathered += bytes) {
    const char *line = at.image + y * c->iw * c->in_stride;
    *to = y < c->ih ? gathered : padding;
    size_t x = x0;
    for (size_t kx = 0; kx < c->kw && y < c->ih; kx++, x += c->dw) {
      memcpy(gathered + kx * size, x < c->iw ? line + x * c->in_stride : padding, size);
    }
  }
}

static struct qk_tail shifted(struct qk_tail tail, size_t channels) {
  if (tail.bias != NULL) tail.bias += channels;
  if (tail.scale != NULL) tail.scale += channels;
  if (tail.start != NULL) tail.start += channels;
  return tail;
}

// Applies the post step to `rows` rows of `columns` results at `from`; they end at `to`.
static void finish(const struct qk_conv *conv, size_t rows, size_t columns, float *from, size_t from_stride, char *to,
                   size_t to_stride) {
  const struct qk_vector_ops *ops = qk_vector_ops(conv->isa);
  const struct qk_post *post = conv->post;
  if (from_stride == columns * sizeof(float) && (to_stride == columns || !post->quantize)) {
    columns *= rows; // one run of elements
    rows = qk_min(rows, 1);
  }
  for (size_t i = 0; i < rows; i++) {
    float *row = (float *)((char *)from + i * from_stride);
    if (post->activation.function != QK_IDENTITY) ops->activate(columns, row, row, &post->activation);
    if (post->quantize) ops->quantize_u8(columns, row, (uint8_t *)to + i * to_stride, post->scale, post->zero_point);
  }
}

// Takes note of `rows` rows of `columns` float results while they are in the cache.
static void note_range(const struct job *job, size_t thread, size_t rows, size_t columns, const char *out) {
  const size_t stride = job->conv->out_stride;
  if (job->conv->range == NULL) return;
  if (stride == columns * sizeof(float)) {
    columns *= rows; // one run of elements
    rows = qk_min(rows, 1);
  }
  struct extremes *e = &job->extremes[thread];
  const struct qk_vector_ops *ops = qk_vector_ops(job->conv->isa);
  for (size_t i = 0; i < rows; i++, out += stride) ops->range(columns, (const float *)(const void *)out, &e->lo, &e->hi);
}

// The rows of one task in blocks: all of `full` rows but the last, which may have fewer.
struct blocks {
  const struct qk_igemm_ukernel *full, *last;
};

static const struct qk_igemm_ukernel *kernel_for(struct blocks blocks, size_t rows) {
  return rows >= blocks.full->mr ? blocks.full : blocks.last;
}

// `rows` and the rows that are missing in the last block.
static size_t kernel_padded(struct blocks blocks, size_t rows) {
  const size_t past = rows % blocks.full->mr;
  return past == 0 ? rows : rows - past + blocks.last->mr;
}

// Whether output pixel i reads input pixel i and no other.
static bool is_pointwise(const struct qk_conv *c) {
  return c->kh == 1 && c->kw == 1 && c->sh == 1 && c->sw == 1 && c->ih == c->oh && c->iw == c->ow;
}

// Fills in the row pointers of all blocks, tap by tap; the rows of a block past the last repeat the last.
static void fill_rows(const struct job *job, struct blocks blocks, size_t first, size_t rows, size_t offset,
                      char *scratch, const struct layout *layout, const void **pointers) {
  const struct qk_conv *c = job->conv;
  const size_t taps = job->split.taps, row_bytes = gathered_bytes(c);
  struct cursor at = cursor_at(job, first, offset);
  char *gathered = scratch + layout->gathered;
  if (is_pointwise(c)) {
    spaced_addresses(rows, (uintptr_t)job->in + first * c->in_stride + offset, c->in_stride, pointers);
    for (size_t i = rows; i < kernel_padded(blocks, rows); i++) pointers[i] = pointers[rows - 1];
    return;
  }
  struct place *places = (struct place *)(void *)(scratch + layout->places);
  const struct inner inner = inner_columns(c);
  bool is_new_line = true;
  for (size_t i = 0; i < rows;) {
    const size_t mr = kernel_for(blocks, rows - i)->mr, count = qk_min(mr, rows - i);
    for (size_t j = 0, pixels; j < count; j += pixels) {
      if (is_new_line) find_places(c, at, scratch, places);
      pixels = 1;
      if (at.ox >= inner.first && at.ox < inner.end) {
        pixels = qk_min(count - j, inner.end - at.ox);
        for (size_t t = 0; t < taps; t++) {
          spaced_addresses(pixels, places[t].first + at.ox * places[t].step, places[t].step, pointers + t * mr + j);
        }
      } else if (c->run == 1) {
        tap_addresses(c, at, scratch, mr, pointers + j);
      } else {
        run_addresses(c, at, scratch, mr, pointers + j, gathered + (i + j) * row_bytes);
      }
      advance(c, &at, pixels);
      is_new_line = at.ox == 0;
    }
    for (size_t j = count; j < mr; j++) {
      for (size_t t = 0; t < taps; t++) pointers[t * mr + j] = pointers[t * mr + count - 1];
    }
    pointers += mr * taps;
    i += mr;
  }
}

static void conv_task(void *context, size_t index, size_t thread) {
  const struct job *job = context;
  const struct qk_conv *c = job->conv;
  const struct qk_split *s = &job->split;
  const size_t panel_chunk = index % s->panel_chunks, row_chunk = index / s->panel_chunks % s->row_chunks;
  const size_t group = index / s->panel_chunks / s->row_chunks;
  const size_t first = row_chunk * s->blocks / s->row_chunks * s->full->mr;
  const size_t end = qk_min(s->rows, (row_chunk + 1) * s->blocks / s->row_chunks * s->full->mr), rows = end - first;
  const size_t first_panel = panel_chunk * s->panels / s->panel_chunks;
  const size_t end_panel = (panel_chunk + 1) * s->panels / s->panel_chunks;
  const size_t size = element_size(c);
  const size_t panel_bytes = qk_panel_bytes(c->dtype, c->isa, c->nr, s->kc, s->taps);

  char *scratch = (char *)job->scratch.base + thread * job->scratch.stride;
  const struct layout layout = layout_of(c, s->chunk_rows, s->chunk_panels * c->nr);
  const void **pointers = (const void **)(void *)(scratch + layout.pointers);
  memset(scratch, job->pad, s->kc * size);
  const struct blocks blocks = {job->split.full,
                                qk_igemm_ukernel(c->dtype, c->isa, c->nr, rows % job->split.full->mr)};
  fill_rows(job, blocks, first, rows, group * c->kc * size, scratch, &layout, pointers);

  const size_t first_column = first_panel * c->nr;
  const size_t columns = qk_min(c->nc, end_panel * c->nr) - first_column;
  char *out = job->out + first * c->out_stride + (group * c->nc + first_column) * c->out_size;
  const bool staged = c->post != NULL && c->post->quantize;
  char *results = staged ? scratch + layout.results : out;
  const size_t stride = staged ? columns * sizeof(float) : c->out_stride;
  const size_t result_size = staged ? sizeof(float) : c->out_size;
  const char *weights = (const char *)c->weights + (group * s->panels + first_panel) * panel_bytes;
  for (size_t p = first_panel; p < end_panel; p++, weights += panel_bytes) {
    struct qk_tail tail = shifted(job->tail, group * c->packed_n + p * c->nr);
    const size_t cols = qk_min(c->nr, c->nc - p * c->nr), column = (p - first_panel) * c->nr;
    const void *const *a = pointers;
    for (size_t i = 0; i < rows;) {
      const struct qk_igemm_ukernel *kernel = kernel_for(blocks, rows - i);
      if (tail.kind == QK_TAIL_ROWS) {
        tail.row_scale = job->tail.row_scale + first + i;
        tail.row_zero_point = job->tail.row_zero_point + first + i;
      }
      kernel->function(qk_min(rows - i, kernel->mr), cols, s->kc, s->taps, a, weights,
                       results + i * stride + column * result_size, stride, &tail);
      a += kernel->mr * s->taps;
      i += kernel->mr;
    }
  }
  qk_release_tiles();
  if (c->post != NULL) finish(c, rows, columns, (float *)(void *)results, stride, out, c->out_stride);
  note_range(job, thread, rows, columns, out);
}

// One row of output pixels.
static void depthwise_task(void *context, size_t index, size_t thread) {
  const struct job *job = context;
  const struct qk_conv *c = job->conv;
  char *scratch = (char *)job->scratch.base + thread * job->scratch.stride;
  const struct layout layout = layout_of(c, c->ow, c->groups);
  const void **pointers = (const void **)(void *)(scratch + layout.pointers);
  const size_t taps = job->split.taps;
  memset(scratch, job->pad, c->groups * element_size(c));
  struct cursor at = cursor_at(job, index * c->ow, 0);
  for (size_t i = 0; i < c->ow; i++, at.ox++) tap_addresses(c, at, scratch, 1, pointers + i * taps);
  char *out = job->out + index * c->ow * c->out_stride;
  const bool staged = c->post != NULL && c->post->quantize;
  char *results = staged ? scratch + layout.results : out;
  const size_t stride = staged ? c->groups * sizeof(float) : c->out_stride;
  const struct qk_dwconv_ukernel *kernel = qk_dwconv_ukernel(c->dtype, c->isa);
  kernel->function(c->ow, c->groups, taps, pointers, c->weights, results, stride, &job->tail);
  if (c->post != NULL) finish(c, c->ow, c->groups, (float *)(void *)results, stride, out, c->out_stride);
  note_range(job, thread, c->ow, c->groups, out);
}

// The same by a kernel for whole rows.
static void depthwise_row_task(void *context, size_t index, size_t thread) {
  const struct job *job = context;
  const struct qk_conv *c = job->conv;
  char *scratch = (char *)job->scratch.base + thread * job->scratch.stride;
  const struct layout layout = layout_of(c, c->ow, c->groups);
  const void **lines = (const void **)(void *)(scratch + layout.pointers);
  memset(scratch, job->pad, c->groups * element_size(c));
  const size_t n = index / c->oh, oy = index - n * c->oh;
  for (size_t ky = 0; ky < c->kh; ky++) {
    const size_t y = oy * c->sh - c->pt + ky * c->dh;
    lines[ky] = y < c->ih ? job->in + (n * c->ih + y) * c->iw * c->in_stride : NULL;
  }
  char *out = job->out + index * c->ow * c->out_stride;
  const bool staged = c->post != NULL && c->post->quantize;
  char *results = staged ? scratch + layout.results : out;
  const size_t stride = staged ? c->groups * sizeof(float) : c->out_stride;
  const struct qk_dwrow row = {lines, scratch, c->weights, results, c->iw, c->ow, c->pl, c->groups, c->in_stride, stride};
  c->row_kernel->function(&row, &job->tail);
  if (c->post != NULL) finish(c, c->ow, c->groups, (float *)(void *)results, stride, out, c->out_stride);
  note_range(job, thread, c->ow, c->groups, out);
}

void qk_conv_run(const struct qk_conv *conv, const void *in, void *out, uint8_t pad, const struct qk_tail *tail,
                 struct qk_pool *pool, struct qk_scratch scratch) {
  const size_t threads = qk_pool_threads(pool);
  if (conv->tile > 0) {
    qk_winograd_run(conv, in, out, tail, pool, scratch);
    return;
  }
  struct extremes extremes[threads];
  memset(extremes, 0, sizeof extremes);
  struct job job = {conv, in, out, conv->dtype == QK_F32 ? 0 : pad, *tail, {0}, scratch, extremes};
  if (conv->depthwise) {
    job.split.taps = conv->kh * conv->kw;
    qk_pool_run(pool, conv->batch * conv->oh, &job, conv->row_kernel ? depthwise_row_task : depthwise_task);
  } else {
    job.split = qk_split_of(conv, threads);
    qk_pool_run(pool, conv->groups * job.split.row_chunks * job.split.panel_chunks, &job, conv_task);
  }
  if (conv->range == NULL) return;
  conv->range[0] = conv->range[1] = 0.0f;
  for (size_t i = 0; i < threads; i++) {
    conv->range[0] = extremes[i].lo < conv->range[0] ? extremes[i].lo : conv->range[0];
    conv->range[1] = extremes[i].hi > conv->range[1] ? extremes[i].hi : conv->range[1];
  }
}

void qk_dynamic_tail(size_t n, float x_scale, uint8_t x_zero_point, const float *weight_scale, const int32_t *sums,
                     float *scale, int32_t *start) {
  for (size_t i = 0; i < n; i++) {
    scale[i] = (float)((double)x_scale * (double)weight_scale[i]);
    start[i] = (int32_t)(0u - (uint32_t)x_zero_point * (uint32_t)sums[i]);
  }
}

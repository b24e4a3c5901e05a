#include "winograd.h"

// Time of a transform per channel and of weights that are in no cache, in multiply-adds of a kernel; measured.
#define TRANSFORM_COST 10.0
#define WEIGHT_COST 13.0

size_t qk_winograd_tile(size_t oh, size_t ow, size_t kc, size_t nc) {
  const double channels = (double)kc + (double)nc, weights = (double)kc * (double)nc;
  double least = 9 * ((double)oh * (double)ow + WEIGHT_COST) * weights;
  size_t best = 0;
  for (size_t tile = 2; tile <= 4; tile += 2) {
    const double tiles = (double)(qk_ceil_div(oh, tile) * qk_ceil_div(ow, tile));
    const double planes = (double)((tile + 2) * (tile + 2));
    const double cost = planes * (tiles * (weights + TRANSFORM_COST * channels) + WEIGHT_COST * weights);
    if (cost >= least) continue;
    least = cost;
    best = tile;
  }
  return best;
}

// Bytes of transformed tiles of one task, which should stay in the L2 cache beside the weights that pass through, and
// the fewest tiles that are worth reading all weights once more.
#define TASK_BYTES (640 * 1024)
#define FEWEST_TILES 12

// How the tiles of all images and the panels are cut into tasks: `blocks` times `panel_chunks`.
struct split {
  size_t down, across, tiles; // tiles of one image, all tiles
  size_t blocks, block_tiles; // the most tiles of a block
  size_t panels, panel_chunks;
  size_t positions;              // planes of a transform
  size_t input_row, input_plane; // floats from tile to tile, from position to position
  size_t product_plane;
};

static struct split split_of(const struct qk_conv *conv, size_t threads) {
  struct split s = {.down = qk_ceil_div(conv->oh, conv->tile), .across = qk_ceil_div(conv->ow, conv->tile)};
  s.tiles = conv->batch * s.down * s.across;
  s.positions = (conv->tile + 2) * (conv->tile + 2);
  s.panels = qk_ceil_div(conv->nc, conv->nr);
  // Rows are an odd number of cache lines apart and planes end with a spare one: few of either meet in one set of the
  // cache.
  s.input_row = qk_round_up(conv->kc, 16) | 16;
  const size_t fitting = TASK_BYTES / (s.positions * (s.input_row + conv->nr) * sizeof(float));
  s.blocks = qk_ceil_div(s.tiles, fitting < FEWEST_TILES ? FEWEST_TILES : fitting);
  // All threads get as many tiles; where that makes blocks too small, they share the panels.
  const size_t even = qk_round_up(s.blocks, threads);
  if (s.tiles >= even * FEWEST_TILES) s.blocks = even;
  s.panel_chunks = s.blocks % threads == 0 || s.blocks > 4 * threads ? 1 : qk_min(s.panels, threads);
  s.block_tiles = s.blocks == 0 ? 0 : qk_ceil_div(s.tiles, s.blocks);
  s.input_plane = s.block_tiles * s.input_row + 16;
  s.product_plane = s.block_tiles * conv->nr + 16;
  return s;
}

// One thread's scratch: a pixel of padding, transformed input, products, row pointers of one product.
struct layout {
  size_t input, products, rows, bytes;
};

static struct layout layout_of(const struct qk_conv *conv, const struct split *s) {
  struct layout l;
  l.input = qk_round_up(conv->kc * sizeof(float) + QK_TAIL_PADDING, 64);
  l.products = l.input + s->positions * s->input_plane * sizeof(float);
  l.rows = l.products + s->positions * s->product_plane * sizeof(float);
  l.bytes = l.rows + (s->block_tiles + UINT8_MAX) * sizeof(void *);
  return l;
}

size_t qk_winograd_scratch_bytes(const struct qk_conv *conv) {
  const struct split s = split_of(conv, 1);
  return layout_of(conv, &s).bytes;
}

struct job {
  const struct qk_conv *conv;
  const struct qk_winograd_ukernel *kernel;
  const char *in;
  char *out;
  struct qk_tail tail;
  struct split split;
  struct qk_scratch scratch;
};

// A tile's image and its first output pixel there.
struct place {
  size_t image, y, x;
};

static struct place place_of(const struct job *job, size_t tile) {
  const struct split *s = &job->split;
  const size_t row = tile / s->across, image = row / s->down, extent = job->conv->tile;
  return (struct place){image, (row - image * s->down) * extent, (tile - row * s->across) * extent};
}

static void transform_input(const struct job *job, size_t first, size_t count, const char *padding, float *to) {
  const struct qk_conv *c = job->conv;
  const size_t n = c->tile + 2;
  for (size_t i = 0; i < count; i++, to += job->split.input_row) {
    const struct place at = place_of(job, first + i);
    const char *image = job->in + at.image * c->ih * c->iw * c->in_stride;
    const void *pixels[36], **pixel = pixels;
    for (size_t ky = 0; ky < n; ky++) {
      const size_t y = at.y + ky - c->pt;
      for (size_t kx = 0; kx < n; kx++) {
        const size_t x = at.x + kx - c->pl;
        *pixel++ = y < c->ih && x < c->iw ? image + (y * c->iw + x) * c->in_stride : padding;
      }
    }
    job->kernel->input(c->kc, pixels, to, job->split.input_plane);
  }
}

// The products of `count` transformed tiles with one panel, position by position. `rows` has room for a block more.
static void multiply(const struct job *job, size_t count, const char *input, const float *weights, char *products,
                     const void **rows) {
  static const float no_bias[UINT8_MAX + 1];
  const struct qk_tail sums = {.kind = QK_TAIL_F32, .lo = -INFINITY, .hi = INFINITY, .bias = no_bias};
  const struct qk_conv *c = job->conv;
  const struct split *s = &job->split;
  const struct qk_igemm_ukernel *full = qk_igemm_block_ukernel(QK_F32, c->isa, c->nr, count);
  const struct qk_igemm_ukernel *last = qk_igemm_ukernel(QK_F32, c->isa, c->nr, count % full->mr);
  for (size_t i = 0; i < s->positions; i++, weights += c->kc * c->nr) {
    for (size_t r = 0; r < count + full->mr; r++) {
      rows[r] = input + qk_min(r, count - 1) * s->input_row * sizeof(float);
    }
    for (size_t r = 0; r < count;) {
      const struct qk_igemm_ukernel *kernel = count - r >= full->mr ? full : last;
      kernel->function(qk_min(count - r, kernel->mr), c->nr, c->kc, 1, rows + r, weights,
                       products + r * c->nr * sizeof(float), c->nr * sizeof(float), &sums);
      r += kernel->mr;
    }
    input += s->input_plane * sizeof(float);
    products += s->product_plane * sizeof(float);
  }
}

// The output pixels of one tile from the products of `columns` channels from `first_column` on.
static void transform_output(const struct job *job, size_t tile, const float *products, size_t first_column,
                             size_t columns, const struct qk_tail *tail) {
  const struct qk_conv *c = job->conv;
  const struct place at = place_of(job, tile);
  void *pixels[16];
  for (size_t i = 0; i < c->tile * c->tile; i++) {
    const size_t y = at.y + i / c->tile, x = at.x + i % c->tile;
    const size_t pixel = (at.image * c->oh + y) * c->ow + x;
    pixels[i] = y < c->oh && x < c->ow ? job->out + pixel * c->out_stride + first_column * sizeof(float) : NULL;
  }
  job->kernel->output(columns, products, job->split.product_plane, pixels, tail);
  for (size_t i = 0; c->post != NULL && i < c->tile * c->tile; i++) {
    float *pixel = pixels[i];
    if (pixel != NULL) qk_vector_ops(c->isa)->activate(columns, pixel, pixel, &c->post->activation);
  }
}

static void winograd_task(void *context, size_t index, size_t thread) {
  const struct job *job = context;
  const struct qk_conv *c = job->conv;
  const struct split *s = &job->split;
  const size_t block = index / s->panel_chunks, chunk = index % s->panel_chunks;
  const size_t first = block * s->tiles / s->blocks, count = (block + 1) * s->tiles / s->blocks - first;
  const size_t first_panel = chunk * s->panels / s->panel_chunks, end_panel = (chunk + 1) * s->panels / s->panel_chunks;
  const struct layout layout = layout_of(c, s);
  char *scratch = (char *)job->scratch.base + thread * job->scratch.stride;
  float *input = (float *)(void *)(scratch + layout.input), *products = (float *)(void *)(scratch + layout.products);
  memset(scratch, 0, layout.input);
  transform_input(job, first, count, scratch, input);
  for (size_t p = first_panel; p < end_panel; p++) {
    multiply(job, count, scratch + layout.input, (const float *)c->weights + p * s->positions * c->kc * c->nr,
             scratch + layout.products, (const void **)(void *)(scratch + layout.rows));
    struct qk_tail tail = job->tail;
    tail.bias += p * c->nr;
    for (size_t i = 0; i < count; i++) {
      transform_output(job, first + i, products + i * c->nr, p * c->nr, qk_min(c->nr, c->nc - p * c->nr), &tail);
    }
  }
}

void qk_winograd_run(const struct qk_conv *conv, const void *in, void *out, const struct qk_tail *tail,
                     struct qk_pool *pool, struct qk_scratch scratch) {
  const struct split split = split_of(conv, qk_pool_threads(pool));
  struct job job = {conv, qk_winograd_ukernel(conv->isa, conv->tile), in, out, *tail, split, scratch};
  qk_pool_run(pool, split.blocks * split.panel_chunks, &job, winograd_task);
}

#include "check.h"

#include <math.h>

static size_t pick(const size_t *choices, size_t count) { return choices[number(0, count - 1)]; }
#define PICK(...) pick((const size_t[]){__VA_ARGS__}, sizeof((const size_t[]){__VA_ARGS__}) / sizeof(size_t))

// A convolution whose last output pixel still reads the image: grouped, depthwise, dilated, 1-d or a matrix product.
static struct qk_conv random_conv(enum qk_dtype dtype) {
  struct qk_conv c = {.dtype = dtype, .batch = number(1, 2), .groups = 1};
  c.kh = PICK(1, 1, 3, 2, 5);
  c.kw = PICK(c.kh, c.kh, 1, 3);
  c.sh = PICK(1, 1, 2, 3);
  c.sw = PICK(1, 1, 2);
  c.dh = PICK(1, 1, 2);
  c.dw = PICK(1, 1, 2);
  c.pt = number(0, c.kh - 1);
  c.pl = number(0, c.kw - 1);
  c.oh = PICK(1, 5, 7, 14);
  c.ow = PICK(1, 4, 7, 14, 33);
  c.ih = (c.oh - 1) * c.sh + (c.kh - 1) * c.dh + 1;
  c.iw = (c.ow - 1) * c.sw + (c.kw - 1) * c.dw + 1;
  c.ih = c.ih > c.pt + c.pt / 2 + 1 ? c.ih - c.pt - c.pt / 2 : 1;
  c.iw = c.iw > c.pl + c.pl / 2 + 1 ? c.iw - c.pl - c.pl / 2 : 1;
  c.kc = PICK(1, 3, 4, 16, 19, 24, 64, 96, 130);
  c.nc = PICK(1, 8, 16, 24, 33, 65, 100);
  switch (number(0, 4)) {
  case 0:
    c.groups = PICK(2, 7, 33, 70);
    c.kc = c.nc = 1;
    c.depthwise = true;
    break;
  case 1:
    c.groups = number(2, 3);
    c.kc = PICK(1, 3, 8, 20);
    c.nc = PICK(2, 5, 17, 40);
    break;
  default:
    break;
  }
  return c;
}

// One that has transforms for tiles, of 2x2 or 4x4 output pixels.
static struct qk_conv random_tiled_conv(void) {
  struct qk_conv c = {.dtype = QK_F32, .batch = number(1, 2), .groups = 1, .kh = 3, .kw = 3, .sh = 1, .sw = 1,
                      .pt = number(0, 2), .pl = number(0, 2), .dh = 1, .dw = 1, .tile = PICK(2, 4)};
  c.oh = PICK(1, 4, 7, 14);
  c.ow = PICK(1, 5, 8, 27);
  c.ih = c.oh + 2 > 2 * c.pt ? c.oh + 2 - 2 * c.pt : 1;
  c.iw = c.ow + 2 > 2 * c.pl ? c.ow + 2 - 2 * c.pl : 1;
  c.kc = PICK(1, 3, 16, 19, 64, 130);
  c.nc = PICK(1, 8, 33, 65, 100);
  return c;
}

struct operands {
  char *x, *w; // w: [groups * nc][kc][taps]
  uint8_t pad;
  struct qk_tail tail; // groups * nc channels
  const struct qk_post *post;
  const char *addends; // as many as elements
  size_t elements; // of the output
};

// Packs for an instruction set and runs the convolution.
static void run(struct qk_conv c, enum qk_isa isa, size_t threads, const struct operands *o, char *out) {
  const size_t taps = c.kh * c.kw, size = c.dtype == QK_F32 ? 4 : 1;
  const enum qk_source source = c.dtype == QK_F32 ? QK_SOURCE_F32 : QK_SOURCE_S8;
  c.isa = isa;
  c.in_stride = c.groups * c.kc * size;
  c.out_stride = c.groups * c.nc * c.out_size;
  c.post = o->post;
  size_t channels = (c.groups + 63) / 64 * 64, panel_bytes = 0;
  c.run = 1;
  if (!c.depthwise) {
    c.nr = qk_igemm_panel_width(c.dtype, isa, c.nc, c.kc * taps);
    c.packed_n = (c.nc + c.nr - 1) / c.nr * c.nr;
    c.run = qk_conv_run_length(c.dtype, c.kc, c.kw);
    channels = c.groups * c.packed_n;
    panel_bytes = qk_panel_bytes(c.dtype, isa, c.nr, c.run * c.kc, taps / c.run);
  }
  int32_t *sums = calloc(channels, sizeof(int32_t)), *start = guarded(channels * sizeof(int32_t), 0);
  float *bias = guarded(channels * sizeof(float), 0), *scale = guarded(channels * sizeof(float), 0);
  char *packed;
  if (c.depthwise) {
    c.row_kernel = qk_dwrow_ukernel(c.dtype, isa, c.kh, c.kw, c.sw, c.dw);
    const bool has_own_layout = c.row_kernel != NULL && c.dtype == QK_QU8;
    packed = guarded(has_own_layout ? qk_dwrow_packed_bytes(c.groups, c.kh, c.kw)
                                    : qk_dw_packed_bytes(c.dtype, c.groups, taps),
                     64);
    if (has_own_layout) {
      qk_dwrow_pack(o->w, c.groups, c.kh, c.kw, taps, 1, packed, sums);
    } else {
      qk_dw_pack(c.dtype, source, o->w, c.groups, taps, taps, 1, packed, sums);
    }
  } else if (c.tile > 0) {
    packed = guarded(qk_winograd_packed_bytes(c.nc, c.kc, c.nr, c.tile), 64);
    qk_winograd_pack(source, o->w, c.nc, c.kc, c.kc * taps, 1, taps, c.nr, c.tile, 1.0f, packed);
  } else {
    const size_t group_bytes = c.packed_n / c.nr * panel_bytes;
    packed = guarded(c.groups * group_bytes, 64);
    for (size_t g = 0; g < c.groups; g++) {
      qk_pack_weights(c.dtype, isa, source, o->w + g * c.nc * c.kc * taps * size, c.nc, taps, c.run, c.kc, c.kc * taps,
                      1, taps, c.nr, 1.0f, packed + g * group_bytes, sums + g * c.packed_n);
    }
  }
  for (size_t i = 0; i < c.groups * c.nc; i++) {
    const size_t to = c.depthwise ? i : i / c.nc * c.packed_n + i % c.nc;
    bias[to] = o->tail.bias[i];
    scale[to] = o->tail.scale[i];
    start[to] = o->tail.start[i] - o->pad * sums[to];
  }
  struct qk_tail tail = o->tail;
  tail.bias = bias;
  tail.scale = scale;
  tail.start = start;
  tail.addend = (uintptr_t)o->addends - (uintptr_t)out;
  c.weights = packed;
  struct qk_pool *pool = qk_pool_create(threads);
  const size_t scratch = (qk_conv_scratch_bytes(&c) + 4095) / 4096 * 4096;
  qk_conv_run(&c, o->x, out, o->pad, &tail, pool, (struct qk_scratch){guarded(threads * scratch, 64), scratch});
  qk_pool_destroy(pool);
  free(sums);
}

// Largest difference between two sums of products of numbers in [-1, 1], one of them by tiles if there are some.
static float tolerance(const struct qk_conv *c) {
  const float products = (float)(c->kc * c->kh * c->kw);
  return 1e-7f * products + (c->tile == 0 ? 1e-6f : 1.2e-6f * sqrtf(products));
}

// Compares with the portable kernels, those for tiles with the portable direct sum.
static void check(enum qk_isa isa, struct qk_conv c) {
  const enum qk_dtype dtype = c.dtype;
  const size_t size = dtype == QK_F32 ? 4 : 1, channels = c.groups * c.nc;
  const size_t inputs = c.batch * c.ih * c.iw * c.groups * c.kc, weights = channels * c.kc * c.kh * c.kw;
  const enum qk_tail_kind kind = dtype == QK_F32 ? QK_TAIL_F32 : (enum qk_tail_kind[]){QK_TAIL_REQUANTIZE, QK_TAIL_DEQUANTIZE, QK_TAIL_SUMS, QK_TAIL_ADD}[number(0, 3)];
  const struct qk_post post = {{QK_LEAKY_RELU, 0.25f, 0}, true, 0.03f, 100};
  const bool staged = kind == QK_TAIL_DEQUANTIZE && number(0, 1) == 0;
  struct operands o = {guarded(inputs * size, size == 4 ? 4 : 0), guarded(weights * size, size == 4 ? 4 : 0),
                       dtype == QK_F32 ? 0 : (uint8_t)number(0, 255), random_tail(kind, channels),
                       staged ? &post : NULL, NULL, c.batch * c.oh * c.ow * channels};
  if (dtype == QK_F32) {
    fill_floats((float *)(void *)o.x, inputs, -1, 1);
    fill_floats((float *)(void *)o.w, weights, -1, 1);
  } else {
    fill_bytes(o.x, inputs, 0);
    fill_bytes(o.w, weights, 128);
  }
  char *addends = guarded(o.elements, 0);
  fill_bytes(addends, o.elements, 0);
  o.addends = addends;
  c.out_size = staged ? 1 : tail_element_size(kind);
  char *expected = guarded(o.elements * c.out_size, 4), *got = guarded(o.elements * c.out_size, 4);
  struct qk_conv direct = c;
  direct.tile = 0;
  run(direct, QK_ISA_PORTABLE, 1, &o, expected);
  if (dtype == QK_QU8) add_bytes_to_digest(expected, o.elements * c.out_size);
  for (size_t threads = 1; threads <= 3; threads += 2) {
    run(c, isa, threads, &o, got);
    bool agrees = dtype == QK_F32 || memcmp(got, expected, o.elements * c.out_size) == 0;
    for (size_t i = 0; dtype == QK_F32 && i < o.elements; i++) {
      const float difference = fabsf(((float *)(void *)got)[i] - ((float *)(void *)expected)[i]);
      agrees = agrees && difference <= tolerance(&c);
    }
    expect(agrees,
           "%s conv, tile %zu, %zu threads: batch %zu, %zux%zu to %zux%zu, kernel %zux%zu stride %zux%zu pad %zu,%zu "
           "dilation %zux%zu groups %zu kc %zu nc %zu tail %d",
           qk_isa_name(isa), c.tile, threads, c.batch, c.ih, c.iw, c.oh, c.ow, c.kh, c.kw, c.sh, c.sw, c.pt, c.pl,
           c.dh, c.dw, c.groups, c.kc, c.nc, (int)kind);
  }
  release_guarded();
}

void check_conv(enum qk_isa isa, size_t rounds) {
  restart_numbers();
  for (size_t i = 0; i < rounds; i++) check(isa, random_conv(i % 4 == 0 ? QK_F32 : QK_QU8));
  for (size_t i = 0; i < rounds / 4; i++) check(isa, random_tiled_conv());
}

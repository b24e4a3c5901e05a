// Kernels for neural networks on CPUs: convolution and matrix products, depthwise convolution, pooling, pointwise
// functions and a thread pool. Activations are NHWC, weights are prepacked. Nothing here allocates except the pool.
//
// Integer kernels give the same bytes on every instruction set. Float convolutions differ in the last bits between
// instruction sets (fused multiply-add or not); float pointwise functions do not.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Bytes that buffers read by kernels must have after their last element.
#define QK_TAIL_PADDING 64

// Instruction sets in ascending order of preference.
enum qk_isa {
  QK_ISA_PORTABLE = 0,
  QK_ISA_AVX2 = 1,       // AVX2, FMA
  QK_ISA_AVXVNNI = 2,    // AVX-VNNI on top of AVX2
  QK_ISA_AVX512VNNI = 3, // AVX-512 F, BW, DQ, VL, VNNI
  QK_ISA_AMX = 4,        // AMX-INT8 on top of AVX-512 VNNI
  QK_ISA_NEON = 5,       // NEON with dot products of bytes (Armv8.2)
};

// The instruction set that QCONVERT_ISA=portable|avx2|avxvnni|avx512vnni|amx|neon names, or else the best the machine has; the
// environment is read once.
enum qk_isa qk_isa_best(void);
// Whether QCONVERT_ISA is unset or names an instruction set that the machine has and kernels exist for.
bool qk_isa_wish_granted(void);
// Whether the machine has this instruction set and kernels exist for it, whatever QCONVERT_ISA says.
bool qk_isa_available(enum qk_isa isa);
const char *qk_isa_name(enum qk_isa isa);

// --- What happens to an accumulator

enum qk_tail_kind {
  QK_TAIL_F32,        // f32: clamp(acc + bias)
  QK_TAIL_REQUANTIZE, // u8:  clamp(rne(f32(acc + start) * scale)) + zero_point, bounds relative to zero_point
  QK_TAIL_DEQUANTIZE, // f32: clamp(f32(acc + start) * scale + bias), product and sum rounded separately
  QK_TAIL_SUMS,       // s32: acc + start
  QK_TAIL_ROWS,       // f32: f32(acc - row_zero_point * start) * (row_scale * scale) + bias, each operation rounded
  QK_TAIL_ADD,        // u8:  what QK_TAIL_REQUANTIZE gives, as the first operand of `add`
};

// Per-channel arrays start at the first channel of the panel and are readable up to the panel's width, arrays per row
// at the first row.
struct qk_tail {
  enum qk_tail_kind kind;
  bool scales_below_1; // known of all, so that no product exceeds the range of s32
  int32_t zero_point;
  float lo, hi;
  const float *bias;
  const float *scale;
  const int32_t *start;
  const float *row_scale; // with QK_TAIL_ROWS only, as the next
  const uint8_t *row_zero_point;
  const struct qk_u8_binary *add; // with QK_TAIL_ADD only, as the next: an addition whose za is zero_point
  uintptr_t addend;               // from where a result goes to the byte that is added to it, which may be the same
};

// --- Matrix products with indirect rows

// out[i][j] = tail(sum over t < taps, k < kc of a[t * mr + i][k] * w[t][k][j]) for i < rows <= mr, j < cols <= nr.
//
// `a` holds taps * mr row pointers; those of rows past the last repeat a valid one. `w` is one panel as
// qk_pack_weights makes it. `out_stride` is in bytes. Integer kernels take u8 rows and s8 weights, and read up to 63
// bytes past the end of a row.
typedef void (*qk_igemm_fn)(size_t rows, size_t cols, size_t kc, size_t taps, const void *const *a, const void *w,
                            void *out, size_t out_stride, const struct qk_tail *tail);

struct qk_igemm_ukernel {
  const char *name;
  enum qk_isa isa;
  qk_igemm_fn function;
  uint8_t mr, nr, kr; // rows, columns, depth that is stored together
};

// Type of activations and weights of a convolution.
enum qk_dtype { QK_F32 = 0, QK_QU8 = 1 };

// All kernels of the family, in the order of its enumerator.
const struct qk_igemm_ukernel *qk_igemm_table(enum qk_dtype dtype, size_t *count);
// The width of panels that wastes least for `columns` output channels of `depth` (kc * taps) products each.
size_t qk_igemm_panel_width(enum qk_dtype dtype, enum qk_isa isa, size_t columns, size_t depth);
// The kernel of this instruction set and panel width with the fewest rows that covers `rows`, or else the most rows.
const struct qk_igemm_ukernel *qk_igemm_ukernel(enum qk_dtype dtype, enum qk_isa isa, size_t nr, size_t rows);

// The kernel to cut `rows` into blocks with so that these, and the kernel above for the rest, take least time.
const struct qk_igemm_ukernel *qk_igemm_block_ukernel(enum qk_dtype dtype, enum qk_isa isa, size_t nr, size_t rows);

// Bytes of one packed panel; columns past the last and depth past kc are zero.
size_t qk_panel_bytes(enum qk_dtype dtype, enum qk_isa isa, size_t nr, size_t kc, size_t taps);

enum qk_source { QK_SOURCE_F32, QK_SOURCE_F16, QK_SOURCE_S8 };

// Packs `columns` x `taps` x `kc` weights into panels of width nr. Element (n, t, k) is source[n*sn + t*st + k*sk];
// floats are multiplied by `factor`. For QK_QU8 `sums[n]` receives the sum of column n over all k and t.
//
// Each `run` taps become one of depth run * kc; `run` divides `taps` and is 1, or the kernel's width for rows whose
// pixels are read at once.
void qk_pack_weights(enum qk_dtype dtype, enum qk_isa isa, enum qk_source source_type, const void *source,
                     size_t columns, size_t taps, size_t run, size_t kc, size_t sn, size_t st, size_t sk, size_t nr,
                     float factor, void *packed, int32_t *sums);

// --- Depthwise convolution

// For i < pixels, c < channels: out[i][c] = tail(sum over t < taps of a[i * taps + t][c] * w[t][c]).
//
// `w` is as qk_dw_pack makes it. Integer kernels take u8 rows and s8 weights. May read 64 bytes past a row's end.
typedef void (*qk_dwconv_fn)(size_t pixels, size_t channels, size_t taps, const void *const *a, const void *w, void *out,
                             size_t out_stride, const struct qk_tail *tail);

struct qk_dwconv_ukernel {
  const char *name;
  enum qk_isa isa;
  qk_dwconv_fn function;
};

const struct qk_dwconv_ukernel *qk_dwconv_table(enum qk_dtype dtype, size_t *count);
const struct qk_dwconv_ukernel *qk_dwconv_ukernel(enum qk_dtype dtype, enum qk_isa isa);

// One row of output pixels of a depthwise convolution whose columns lie next to each other.
struct qk_dwrow {
  const void *const *lines; // input lines under the kernel's rows, NULL where in the padding
  const void *padding;      // a pixel of input outside of the image
  const void *weights;      // as qk_dw_pack makes them for f32, qk_dwrow_pack for u8
  void *out;
  size_t iw, ow, pl, channels;
  size_t in_stride, out_stride; // bytes per pixel
};

// out[x][c] = tail(sum over ky, kx of lines[ky][x * S - pl + kx][c] * w[ky][kx][c]); may read 64 bytes past a line's end.
typedef void (*qk_dwrow_fn)(const struct qk_dwrow *row, const struct qk_tail *tail);

struct qk_dwrow_ukernel {
  const char *name;
  enum qk_isa isa;
  qk_dwrow_fn function;
  uint8_t kh, kw, stride;
};

const struct qk_dwrow_ukernel *qk_dwrow_table(enum qk_dtype dtype, size_t *count);
// The kernel for these extents and the step between output columns, or NULL.
const struct qk_dwrow_ukernel *qk_dwrow_ukernel(enum qk_dtype dtype, enum qk_isa isa, size_t kh, size_t kw,
                                                size_t stride, size_t dilation);

// Bytes of s8 weights packed for a row kernel, and the packing: element (c, y, x) is source[c*sc + (y*kw + x)*st].
//
// s8 [channels/64][kw][kh/4][4][4][4][4] of group of 64, column, group of 4 rows; 4 channels of 4 groups of 16; row.
size_t qk_dwrow_packed_bytes(size_t channels, size_t kh, size_t kw);
void qk_dwrow_pack(const void *source, size_t channels, size_t kh, size_t kw, size_t sc, size_t st, void *packed,
                   int32_t *sums);

// Bytes of packed depthwise weights, and the packing: element (c, t) is source[c*sc + t*st].
//
// f32: [taps][channels]. u8: s16 [channels/32][taps/2][32][2], both rounded up with zeros.
size_t qk_dw_packed_bytes(enum qk_dtype dtype, size_t channels, size_t taps);
void qk_dw_pack(enum qk_dtype dtype, enum qk_source source_type, const void *source, size_t channels, size_t taps,
                size_t sc, size_t st, void *packed, int32_t *sums);

// --- 3x3 convolution with stride 1 by Winograd's minimal filtering F(tile x tile, 3x3)

// For tiles of tile x tile output pixels, and N = tile + 2: the input transform takes N x N pixels of `channels` floats
// to N x N planes, `plane` floats apart; the output transform takes as many planes of products to the tile's pixels,
// with bias and clamp. Output pixels that are NULL are skipped. Reads up to 60 bytes past the channels, and the input
// transform writes so far. Where one pixel of a tile is not finite, no output pixel of it need be.
typedef void (*qk_winograd_input_fn)(size_t channels, const void *const *pixels, float *out, size_t plane);
typedef void (*qk_winograd_output_fn)(size_t channels, const float *products, size_t plane, void *const *pixels,
                                      const struct qk_tail *tail);

struct qk_winograd_ukernel {
  const char *name; // of the input transform
  enum qk_isa isa;
  qk_winograd_input_fn input;
  qk_winograd_output_fn output;
  uint8_t tile;
};

const struct qk_winograd_ukernel *qk_winograd_table(size_t *count);
// The kernels for tiles of this extent, 2 or 4; NULL for others.
const struct qk_winograd_ukernel *qk_winograd_ukernel(enum qk_isa isa, size_t tile);

// The tile that takes least time for an image of oh x ow output pixels, or 0 where the direct sum does: of
//     tiles * (N^2 * kc * nc + 10 * N^2 * (kc + nc)) + 13 * N^2 * kc * nc
// for the products, the transforms and the reading of weights that are in no cache, and of 9 * (oh * ow + 13) * kc * nc.
size_t qk_winograd_tile(size_t oh, size_t ow, size_t kc, size_t nc);

// Bytes of `columns` x 9 x `kc` weights transformed for F(tile x tile, 3x3), and the transformation, in double precision
// before the one rounding: [columns/nr][(tile + 2)^2][kc][nr] floats. Arguments as of qk_pack_weights.
size_t qk_winograd_packed_bytes(size_t columns, size_t kc, size_t nr, size_t tile);
void qk_winograd_pack(enum qk_source source_type, const void *source, size_t columns, size_t kc, size_t sn, size_t st,
                      size_t sk, size_t nr, size_t tile, float factor, void *packed);

// --- Pointwise functions

// All are deterministic: the same bytes on every instruction set. Those of section 8.1 of arithmetic.md are exact;
// sigmoid and silu are those of section 8.3, within 4 ulp or 1e-36. Erf and tanh are within 3e-7, gelu within 3e-7 times
// its operand.
enum qk_function {
  QK_IDENTITY,
  QK_RELU,
  QK_CLIP,         // a: lowest, b: highest
  QK_LEAKY_RELU,   // a: slope
  QK_HARD_SIGMOID, // a: slope, b: offset
  QK_HARD_SWISH,
  QK_SIGMOID,
  QK_SILU,
  QK_GELU,
  QK_GELU_TANH,
  QK_ERF,
  QK_TANH,
  QK_MISH,
  QK_ELU, // a: alpha, b: scale
};

struct qk_activation {
  enum qk_function function;
  float a, b;
};

// Bounds of a u8 result.
struct qk_u8_clamp {
  uint8_t zero_point, lowest, highest;
};

// u8 addition: rne(f32(a - za) * ma + f32(b - zb) * mb), then multiplication: rne(f32((a - za) * (b - zb)) * ma).
struct qk_u8_binary {
  bool multiply;
  uint8_t za, zb;
  float ma, mb;
  struct qk_u8_clamp clamp;
};

enum qk_float_binary { QK_ADD, QK_SUB, QK_MUL, QK_DIV };

// One step of units of a long short-term memory: the gates in the order i, o, f, c, which are overwritten, and the
// peepholes of the first three, NULL where there are none.
struct qk_lstm_cell {
  float *gates[4];
  const float *peepholes[3];
  float *cell; // before and after
  float *out;
  float clip; // bound of the operands of the gates' functions
  bool coupled; // f = 1 - i
};

// One step of gated recurrent units: the gates in the order z, r, n, which are overwritten. Where `input` is not NULL,
// the last one is yet to be multiplied by r and added to it.
struct qk_gru_cell {
  float *gates[3];
  const float *input, *before;
  float *out;
  float clip;
};

// One implementation per instruction set of functions over n consecutive elements; in and out may be the same.
struct qk_vector_ops {
  const char *name;
  enum qk_isa isa;
  void (*activate)(size_t n, const float *x, float *out, const struct qk_activation *activation);
  void (*quantize_u8)(size_t n, const float *x, uint8_t *out, float scale, uint8_t zero_point);
  void (*dequantize_u8)(size_t n, const uint8_t *x, float *out, float scale, uint8_t zero_point);
  // Lowers *lo and raises *hi to the finite elements' range.
  void (*range)(size_t n, const float *x, float *lo, float *hi);
  void (*binary_u8)(size_t n, const uint8_t *a, const uint8_t *b, uint8_t *out, const struct qk_u8_binary *params);
  void (*binary_f32)(size_t n, const float *a, const float *b, float *out, enum qk_float_binary function);
  // The second operand is one number.
  void (*binary_f32_scalar)(size_t n, const float *a, float b, float *out, enum qk_float_binary function);
  void (*table_u8)(size_t n, const uint8_t *x, uint8_t *out, const uint8_t *table);
  void (*max_f32)(size_t n, const float *x, float *inout);
  void (*max_u8)(size_t n, const uint8_t *x, uint8_t *inout);
  // out[3 * i + c] = x[c * distance + i] for c < 3; `out` is other memory.
  void (*interleave3_u8)(size_t n, const uint8_t *x, size_t distance, uint8_t *out);
  void (*interleave3_f32)(size_t n, const float *x, size_t distance, float *out);
  void (*accumulate_f32)(size_t n, const float *x, float *inout);
  void (*accumulate_u8)(size_t n, const uint8_t *x, int32_t *inout);
  void (*scale_f32)(size_t n, float *inout, float factor);
  // clamp(rne(f32(sum - offset) * multiplier)) with the bounds of `clamp`.
  void (*mean_u8)(size_t n, const int32_t *sums, uint8_t *out, int32_t offset, float multiplier,
                  const struct qk_u8_clamp *clamp);
  // out = e^(x - the largest of x), within 2 ulp of the rounded difference's power and 0 below e^-87; returns their sum.
  float (*exponentials)(size_t n, const float *x, float *out);
  void (*softmax)(size_t n, const float *x, float *out);
  // (x - mean) / sqrt(variance + epsilon) * scale + bias; bias may be NULL.
  void (*layer_norm)(size_t n, const float *x, const float *scale, const float *bias, float epsilon, float *out);
  void (*lstm_cell)(size_t n, const struct qk_lstm_cell *cell);
  void (*gru_cell)(size_t n, const struct qk_gru_cell *cell);
};

const struct qk_vector_ops *const *qk_vector_table(size_t *count);
const struct qk_vector_ops *qk_vector_ops(enum qk_isa isa);

// --- Thread pool

struct qk_pool;
typedef void (*qk_task_fn)(void *context, size_t index, size_t thread);

// A pool of `threads` threads, the caller's included; NULL when the system has none left.
struct qk_pool *qk_pool_create(size_t threads);
void qk_pool_destroy(struct qk_pool *pool);
size_t qk_pool_threads(const struct qk_pool *pool);
// Calls task(context, i, t) for every i < count, on thread t < threads; returns when all are done.
void qk_pool_run(struct qk_pool *pool, size_t count, void *context, qk_task_fn task);

// --- Operators: kernels with loops and threads around them

// Memory of one thread for the time of one operator.
struct qk_scratch {
  void *base;
  size_t stride; // bytes per thread
};

// What follows a linear operator with a float result, element by element.
struct qk_post {
  struct qk_activation activation;
  bool quantize; // the output is u8 with the parameters below
  float scale;
  uint8_t zero_point;
};

struct qk_conv {
  enum qk_dtype dtype;
  enum qk_isa isa;
  size_t batch, ih, iw, oh, ow;
  size_t kh, kw, sh, sw, pt, pl, dh, dw;
  size_t groups, kc, nc;         // input and output channels per group
  size_t in_stride, out_stride;  // bytes per pixel
  size_t out_size;               // bytes per output element
  size_t nr, packed_n;           // panel width, channels of a group rounded up to it
  size_t run;                    // taps that are one in the packed weights: 1 or kw
  bool depthwise;                // kc == nc == 1 and groups channels
  // 0, or weights are of qk_winograd_pack for this tile: f32, 3x3, strides, dilations and groups 1; no range, no bytes.
  size_t tile;
  const struct qk_dwrow_ukernel *row_kernel; // for depthwise weights of qk_dwrow_pack, or else NULL
  const void *weights;
  const struct qk_post *post; // NULL: the tail's result is the output
  float *range;               // NULL, or where the least and the largest finite f32 result go, 0 included
};

// How many neighbouring taps to pack as one: the kernel's width if there are few channels per tap, or else 1.
size_t qk_conv_run_length(enum qk_dtype dtype, size_t kc, size_t kw);
size_t qk_conv_scratch_bytes(const struct qk_conv *conv);
// `pad` is the value of input elements outside of the image (the zero point for u8; ignored for f32). The tail's
// arrays hold groups * packed_n channels (depthwise: channels rounded up to 64), those of QK_TAIL_ROWS one element per
// output pixel, and its start the sums that qk_pack_weights gives.
void qk_conv_run(const struct qk_conv *conv, const void *in, void *out, uint8_t pad, const struct qk_tail *tail,
                 struct qk_pool *pool, struct qk_scratch scratch);

// The tail of a dynamic layer: scale[i] = f32(f64(x_scale) * f64(weight_scale[i])), start[i] = -x_zero_point * sums[i].
void qk_dynamic_tail(size_t n, float x_scale, uint8_t x_zero_point, const float *weight_scale, const int32_t *sums,
                     float *scale, int32_t *start);

// Window over NHWC pixels; taps outside of the image are skipped.
struct qk_pooling {
  enum qk_isa isa;
  size_t batch, ih, iw, oh, ow, channels;
  size_t kh, kw, sh, sw, pt, pl, dh, dw;
  size_t pb, pr;          // padding at the ends, for count_include_pad
  bool count_include_pad; // the divisor counts taps in the padding
};

size_t qk_pool_scratch_bytes(const struct qk_pooling *p);
void qk_f32_max_pool(const struct qk_pooling *p, const float *in, float *out, struct qk_pool *pool);
void qk_f32_average_pool(const struct qk_pooling *p, const float *in, float *out, struct qk_pool *pool);
// `table` (256 entries) is applied to the result unless NULL.
void qk_u8_max_pool(const struct qk_pooling *p, const uint8_t *in, uint8_t *out, const uint8_t *table,
                    struct qk_pool *pool, struct qk_scratch scratch);
// `multipliers[n]` belongs to windows with divisor n; zero_point is the input's.
void qk_u8_average_pool(const struct qk_pooling *p, const uint8_t *in, uint8_t *out, uint8_t zero_point,
                        const float *multipliers, const struct qk_u8_clamp *clamp, struct qk_pool *pool,
                        struct qk_scratch scratch);

// The operands of a binary operator have the same n elements.
void qk_u8_binary_run(enum qk_isa isa, size_t n, const uint8_t *a, const uint8_t *b, uint8_t *out,
                      const struct qk_u8_binary *params, struct qk_pool *pool);
void qk_f32_binary_run(enum qk_isa isa, size_t n, const float *a, const float *b, float *out,
                       enum qk_float_binary function, struct qk_pool *pool);
void qk_f32_binary_scalar_run(enum qk_isa isa, size_t n, const float *a, float b, float *out,
                              enum qk_float_binary function, struct qk_pool *pool);
// `a` is [batch, pixels, channels], `b` is [batch, channels].
void qk_u8_binary_channels_run(enum qk_isa isa, size_t batch, size_t pixels, size_t channels, const uint8_t *a,
                               const uint8_t *b, uint8_t *out, const struct qk_u8_binary *params, struct qk_pool *pool);
void qk_f32_binary_channels_run(enum qk_isa isa, size_t batch, size_t pixels, size_t channels, const float *a,
                                const float *b, float *out, enum qk_float_binary function, struct qk_pool *pool);
void qk_f32_activate_run(enum qk_isa isa, size_t n, const float *x, float *out, const struct qk_activation *activation,
                         struct qk_pool *pool);
void qk_table_run(enum qk_isa isa, size_t n, const uint8_t *x, uint8_t *out, const uint8_t *table, struct qk_pool *pool);
void qk_quantize_run(enum qk_isa isa, size_t n, const float *x, uint8_t *out, float scale, uint8_t zero_point,
                     struct qk_pool *pool);
void qk_dequantize_run(enum qk_isa isa, size_t n, const uint8_t *x, float *out, float scale, uint8_t zero_point,
                       struct qk_pool *pool);
// Range and conversion as section 3 of arithmetic.md says; `range` is the least and the largest finite element, 0
// included, or NULL for finding them here.
void qk_dynamic_quantize_run(enum qk_isa isa, size_t n, const float *x, const float *range, uint8_t *out, float *scale,
                             uint8_t *zero_point, struct qk_pool *pool);

// Copies [batch, channels, pixels] to [batch, pixels, channels] for elements of 1 or 4 bytes; swap the last two counts
// to go back.
void qk_transpose_run(size_t size, size_t batch, size_t channels, size_t pixels, const void *in, void *out,
                      struct qk_pool *pool);
// Copies `rows` rows of `bytes` bytes, through a table of 256 entries unless that is NULL.
void qk_copy_rows(size_t rows, size_t bytes, const void *in, size_t in_stride, void *out, size_t out_stride,
                  const uint8_t *table);
// Guarded, rows that would be no numbers are 0.
void qk_f32_softmax_run(enum qk_isa isa, size_t rows, size_t columns, const float *x, float *out, bool guarded,
                        struct qk_pool *pool);

// What becomes of `rows` rows of f32, in this order; a stage whose first pointer is NULL is left out. Results may take
// the place of x or of the addend.
struct qk_row_chain {
  size_t rows, columns;
  const float *x;
  const float *addend; // x + addend, element by element; the sum goes to `sum` if that is not NULL
  float *sum;
  const float *scale, *bias; // normalised; bias may be NULL
  float epsilon;
  const struct qk_activation *activation;
  float *out;         // what the stages above give, or NULL
  uint8_t *quantized; // quantized, each row by its own range, as section 3 of arithmetic.md says
  float *scales;
  uint8_t *zero_points;
};

size_t qk_row_chain_scratch_bytes(size_t columns);
void qk_row_chain_run(enum qk_isa isa, const struct qk_row_chain *chain, struct qk_pool *pool,
                      struct qk_scratch scratch);

#define QK_MAX_AXES 8

// A view of elements: extents, and the distance between neighbours along each axis in elements, 0 to repeat.
struct qk_view {
  size_t rank;
  size_t extents[QK_MAX_AXES];
  ptrdiff_t strides[QK_MAX_AXES];
};

// Writes the elements of a view one after another; elements have 1, 2, 4 or 8 bytes.
// Slices along the depth of [batch, in_depth, pixels, groups, bytes] joined for every window:
// [batch, out_depth, pixels, groups, kernel, bytes]. Slices outside are filled with a byte.
struct qk_stack {
  size_t batch, in_depth, out_depth, kernel, stride, pad, dilation, pixels, groups, bytes;
};

void qk_stack_run(const struct qk_stack *op, const void *in, void *out, uint8_t fill, struct qk_pool *pool);

// [batch, in..., groups, stride..., bytes] to [batch, out..., groups, bytes]: a place `p` of the result is phase
// `(p + pad) % stride` of place `(p + pad) / stride`, along each of three axes.
struct qk_phases {
  size_t batch, in[3], out[3], stride[3], pad[3], groups, bytes;
};

void qk_phases_run(const struct qk_phases *op, const void *in, void *out, struct qk_pool *pool);

// Pixels of `bytes` bytes chosen by row and column: the pixel that the row begins with, and the column in it. What is
// negative takes the filler.
struct qk_pick {
  size_t batch, in_pixels, row_count, column_count, bytes;
  const int64_t *rows, *columns;
  const void *filler;
};

void qk_pick_run(const struct qk_pick *op, const void *in, void *out, struct qk_pool *pool);

struct qk_linear_tap {
  size_t low, high;
  float weight; // of the high one
};

struct qk_bilinear {
  size_t batch, channels, in_height, in_width, row_count, column_count;
  const struct qk_linear_tap *rows, *columns;
};

void qk_f32_bilinear_run(const struct qk_bilinear *op, const float *in, float *out, struct qk_pool *pool);

void qk_gather_view(size_t size, const struct qk_view *view, const void *in, void *out, struct qk_pool *pool);
// A binary function of two views of the same extents.
void qk_f32_binary_views(enum qk_isa isa, const struct qk_view *a_view, const float *a, const struct qk_view *b_view,
                         const float *b, float *out, enum qk_float_binary function, struct qk_pool *pool);

// Products of matrices that are both known at run time only: out[i] = a[i] * b[i], `out` dense.
struct qk_matmul {
  enum qk_isa isa;
  size_t batch, rows, depth, columns;
  const size_t *a_offsets, *b_offsets; // first element of each matrix
  size_t a_stride;                     // elements between rows of a
  size_t b_row, b_column;              // elements between rows and between columns of b
};

size_t qk_f32_matmul_scratch_bytes(const struct qk_matmul *matmul);
void qk_f32_matmul_run(const struct qk_matmul *matmul, const float *a, const float *b, float *out,
                       struct qk_pool *pool, struct qk_scratch scratch);

// Attention: out = softmax(q * k^T * factor + mask) * v for each of `batch` pairs of matrices, of which the offsets are
// the first elements. Rows of q and of out are runs of neighbours.
struct qk_attention {
  enum qk_isa isa;
  size_t batch, queries, keys;
  size_t depth, columns; // of a query and a key; of a value
  float factor;
  bool guarded; // weights that would be no numbers are 0
  const size_t *q_offsets, *k_offsets, *v_offsets, *mask_offsets, *out_offsets;
  size_t q_row, out_row;         // elements between rows
  size_t k_row, k_column;        // elements between keys and between their elements
  size_t v_row, v_column;
  size_t mask_row, mask_column;  // elements between queries and between keys: any, and 0 or 1
};

size_t qk_f32_attention_scratch_bytes(const struct qk_attention *attention);
// `mask` is NULL where nothing is added to the scores.
void qk_f32_attention_run(const struct qk_attention *attention, const float *q, const float *k, const float *v,
                          const float *mask, float *out, struct qk_pool *pool, struct qk_scratch scratch);

enum qk_cell { QK_LSTM, QK_GRU, QK_GRU_RESET_AFTER };

// A recurrence over sequences; section 11 of arithmetic.md, with weights packed as a convolution's with directions * gates
// groups of `hidden` input and output channels.
struct qk_recurrent {
  enum qk_cell cell;
  enum qk_dtype dtype; // of the weights: QK_QU8 quantizes every state by its own range
  enum qk_isa isa;
  bool reversed, coupled;
  float clip;
  size_t length, batch, directions, hidden;
  size_t nr;
  const void *weights;
  const int32_t *column_sums; // of the padded columns; for QK_QU8 only, like the scales
  const float *column_scales;
  const float *bias;      // [directions][hidden], of a reset after the product
  const float *peepholes; // [directions][3][hidden], or NULL
};

struct qk_recurrent_data {
  const float *gates;     // [length][batch][directions][gates][hidden]
  const int32_t *lengths; // [batch], from 0 to length, or NULL
  const float *h, *c;     // [directions][batch][hidden] before the first step, or NULL for zeros
  float *states;          // [length][directions][batch][hidden]
  float *last_h, *last_c; // [directions][batch][hidden]
};

size_t qk_recurrent_scratch_bytes(const struct qk_recurrent *op);
void qk_recurrent_run(const struct qk_recurrent *op, const struct qk_recurrent_data *data, struct qk_pool *pool,
                      struct qk_scratch scratch);

#ifdef __cplusplus
}
#endif

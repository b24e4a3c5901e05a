#include "check.h"

#include <math.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t state;

void restart_numbers(void) { state = 1; }

uint64_t next_number(void) {
  state += 0x9E3779B97F4A7C15u;
  uint64_t z = state;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

size_t number(size_t lowest, size_t highest) { return lowest + next_number() % (highest - lowest + 1); }

float real(float lowest, float highest) {
  return lowest + (highest - lowest) * (float)(next_number() >> 40) * 0x1p-24f;
}

void fill_bytes(void *to, size_t count, uint8_t flip) {
  for (size_t i = 0; i < count; i++) {
    const uint64_t n = next_number();
    const uint8_t value = n % 6 == 0 ? 0 : n % 6 == 1 ? 255 : (uint8_t)(n >> 32);
    ((uint8_t *)to)[i] = value ^ flip;
  }
}

void fill_floats(float *to, size_t count, float lowest, float highest) {
  for (size_t i = 0; i < count; i++) to[i] = real(lowest, highest);
}

static struct {
  void *base;
  size_t bytes;
} blocks[64];
static size_t block_count;

void *guarded(size_t bytes, size_t slack) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const size_t wanted = (bytes + QK_TAIL_PADDING + slack + page - 1) / page * page;
  char *base = mmap(NULL, wanted + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED || block_count == 64) {
    fprintf(stderr, "no memory left\n");
    exit(1);
  }
  mprotect(base + wanted, page, PROT_NONE);
  blocks[block_count].base = base;
  blocks[block_count++].bytes = wanted + page;
  size_t start = wanted - bytes - QK_TAIL_PADDING;
  if (slack > 0) start = start / slack * slack;
  return base + start;
}

void release_guarded(void) {
  for (; block_count > 0; block_count--) munmap(blocks[block_count - 1].base, blocks[block_count - 1].bytes);
}

static uint64_t digest = 0xCBF29CE484222325u;

void add_bytes_to_digest(const void *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) digest = (digest ^ ((const uint8_t *)bytes)[i]) * 0x100000001B3u;
}

void add_floats_to_digest(const float *floats, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const float one = isnan(floats[i]) ? 0x1p100f : floats[i];
    add_bytes_to_digest(&one, sizeof(one));
  }
}

static size_t passed, failed;

void expect(bool agrees, const char *format, ...) {
  if (agrees) {
    passed++;
    return;
  }
  if (failed++ >= 20) return;
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
}

bool same_floats(const float *a, const float *b, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (memcmp(a + i, b + i, sizeof(float)) != 0 && !(isnan(a[i]) && isnan(b[i]))) return false;
  }
  return true;
}

struct qk_tail random_tail(enum qk_tail_kind kind, size_t columns) {
  float *bias = guarded(columns * sizeof(float), 0), *scale = guarded(columns * sizeof(float), 0);
  int32_t *start = guarded(columns * sizeof(int32_t), 0);
  fill_floats(bias, columns, -1, 1);
  fill_floats(scale, columns, 1e-5f, 1e-3f);
  for (size_t i = 0; i < columns; i++) start[i] = (int32_t)number(0, 80000) - 40000;
  const int32_t zero_points[] = {0, 255, 128, 3};
  struct qk_tail tail = {.kind = kind, .lo = -0.5f, .hi = 7.0f, .bias = bias, .scale = scale, .start = start};
  tail.zero_point = zero_points[number(0, 3)];
  float *row_scale = guarded(UINT8_MAX * sizeof(float), 0);
  uint8_t *row_zero_point = guarded(UINT8_MAX, 0);
  fill_floats(row_scale, UINT8_MAX, 1e-3f, 1e-1f);
  fill_bytes(row_zero_point, UINT8_MAX, 0);
  tail.row_scale = row_scale;
  tail.row_zero_point = row_zero_point;
  struct qk_u8_binary *add = guarded(sizeof(struct qk_u8_binary), 8);
  *add = (struct qk_u8_binary){.za = (uint8_t)tail.zero_point, .zb = (uint8_t)zero_points[number(0, 3)],
                               .ma = real(0.1f, 2.0f), .mb = real(-2.0f, 2.0f)};
  add->clamp.zero_point = add->clamp.lowest = (uint8_t)zero_points[number(0, 3)];
  add->clamp.highest = number(0, 1) == 0 ? 255 : add->clamp.lowest;
  tail.add = add;
  if (kind == QK_TAIL_REQUANTIZE || kind == QK_TAIL_ADD) {
    tail.lo = number(0, 1) == 0 ? 0.0f : -(float)tail.zero_point;
    tail.hi = (float)(255 - tail.zero_point);
  } else if (number(0, 1) == 0) {
    tail.lo = number(0, 1) == 0 ? 0.0f : -INFINITY;
    tail.hi = INFINITY;
  }
  return tail;
}

size_t tail_element_size(enum qk_tail_kind kind) {
  return kind == QK_TAIL_REQUANTIZE || kind == QK_TAIL_ADD ? 1 : 4;
}

// What the rest of an instruction set's kernels is made of when its own instructions are emulated.
static enum qk_isa base(enum qk_isa isa) {
  return isa == QK_ISA_AMX ? QK_ISA_AVX512VNNI : isa == QK_ISA_AVXVNNI ? QK_ISA_AVX2 : isa;
}

static void check(enum qk_isa isa) {
  const char *name = qk_isa_name(isa);
  if (!qk_isa_available(base(isa))) {
    printf("%s: skipped, this machine lacks %s\n", name, qk_isa_name(base(isa)));
    return;
  }
  const size_t before = passed, failed_before = failed;
  digest = 0xCBF29CE484222325u;
  expect(qk_self_check(isa), "%s: the self check fails", name);
  check_igemm(isa);
  check_dwconv(isa);
  check_vector(isa);
  check_conv(isa, 150);
  printf("%s: %zu passed, %zu failed\n", name, passed - before, failed - failed_before);
}

// Checks the instruction sets that are named, or else all that the machine has, and prints a digest of the portable
// results.
int main(int argc, char **argv) {
  for (int isa = QK_ISA_PORTABLE; isa <= QK_ISA_NEON; isa++) {
    bool wanted = argc == 1 && qk_isa_available((enum qk_isa)isa);
    for (int i = 1; i < argc; i++) wanted = wanted || strcmp(argv[i], qk_isa_name((enum qk_isa)isa)) == 0;
    if (wanted) check((enum qk_isa)isa);
  }
  printf("portable results: %016llx\n", (unsigned long long)digest);
  return failed == 0 ? 0 : 1;
}

// The tile instructions of AMX-INT8 in plain C, for machines without them. Included before the kernels.
//
// The rules of the architecture hold: unconfigured tiles and shapes that do not fit end the process. With EMULATED_FAULT
// the bytes of rows count as signed, so that the self check has something to find.
#pragma once

#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct emulated_tiles {
  struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } shape;
  uint8_t data[8][16][64];
};

static _Thread_local struct emulated_tiles emulated;

static inline void emulated_require(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "emulated AMX: %s\n", what);
  abort();
}

static inline void emulated_configure(const void *from) {
  memset(&emulated, 0, sizeof(emulated));
  memcpy(&emulated.shape, from, 64);
  emulated_require(emulated.shape.palette == 1 && emulated.shape.start_row == 0, "palette or start row");
  for (int i = 0; i < 14; i++) emulated_require(emulated.shape.reserved[i] == 0, "reserved bytes are not 0");
  for (int t = 0; t < 16; t++) {
    const int rows = emulated.shape.rows[t], bytes = emulated.shape.row_bytes[t];
    emulated_require((rows == 0) == (bytes == 0), "a tile has rows but no columns, or the other way round");
    emulated_require(rows <= (t < 8 ? 16 : 0) && bytes <= (t < 8 ? 64 : 0), "a tile is too large");
  }
}

static inline void emulated_release(void) { memset(&emulated, 0, sizeof(emulated)); }

static inline void emulated_check(int tile) {
  emulated_require(emulated.shape.palette == 1, "no configuration");
  emulated_require(emulated.shape.rows[tile] > 0, "the tile is not configured");
}

static inline void emulated_zero(int tile) {
  emulated_check(tile);
  memset(emulated.data[tile], 0, 1024);
}

static inline void emulated_load(int tile, const void *base, size_t stride) {
  emulated_zero(tile);
  for (size_t i = 0; i < emulated.shape.rows[tile]; i++) {
    memcpy(emulated.data[tile][i], (const char *)base + i * stride, emulated.shape.row_bytes[tile]);
  }
}

static inline void emulated_store(int tile, void *base, size_t stride) {
  emulated_check(tile);
  for (size_t i = 0; i < emulated.shape.rows[tile]; i++) {
    memcpy((char *)base + i * stride, emulated.data[tile][i], emulated.shape.row_bytes[tile]);
  }
}

#ifdef EMULATED_FAULT
typedef int8_t emulated_byte;
#else
typedef uint8_t emulated_byte;
#endif

// sums[m][n] += the sum over k and l < 4 of u8 a[m][4k + l] * s8 b[k][4n + l], modulo 2^32.
static inline void emulated_multiply(int sums, int a, int b) {
  emulated_check(sums);
  emulated_check(a);
  emulated_check(b);
  const uint8_t *rows = emulated.shape.rows;
  const uint16_t *bytes = emulated.shape.row_bytes;
  emulated_require(sums != a && sums != b && a != b, "tiles of a product must differ");
  emulated_require(rows[sums] == rows[a] && bytes[sums] == bytes[b], "sums do not fit their operands");
  emulated_require(bytes[a] % 4 == 0 && bytes[b] % 4 == 0 && bytes[a] / 4 == rows[b], "operands do not fit");
  for (size_t m = 0; m < rows[sums]; m++) {
    for (size_t n = 0; n < bytes[sums] / 4u; n++) {
      uint32_t sum;
      memcpy(&sum, &emulated.data[sums][m][4 * n], 4);
      for (size_t k = 0; k < bytes[a]; k++) {
        sum += (uint32_t)((emulated_byte)emulated.data[a][m][k] * (int8_t)emulated.data[b][k / 4][4 * n + k % 4]);
      }
      memcpy(&emulated.data[sums][m][4 * n], &sum, 4);
    }
  }
}

#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbusd
#define _tile_loadconfig emulated_configure
#define _tile_release emulated_release
#define _tile_loadd emulated_load
#define _tile_stored emulated_store
#define _tile_zero emulated_zero
#define _tile_dpbusd emulated_multiply

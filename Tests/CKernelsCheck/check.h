// Compares the kernels of an instruction set with the portable ones. Built by tools/check-kernels and tools/check-neon,
// natively, for a machine that is emulated, or with instructions that are emulated.
#pragma once

#include "../../Sources/CKernels/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A seeded generator; the same numbers on every machine.
void restart_numbers(void);
uint64_t next_number(void);
size_t number(size_t lowest, size_t highest);
float real(float lowest, float highest);
// Bytes, every third one at an end of the range: 0 and 255, or -128 and 127 as s8.
void fill_bytes(void *to, size_t count, uint8_t flip);
void fill_floats(float *to, size_t count, float lowest, float highest);

// Memory that starts at a multiple of 64 and whose last readable byte is the 64th after `bytes`, up to `slack` more for
// the alignment; reading further ends the process.
void *guarded(size_t bytes, size_t slack);
void release_guarded(void);

// Counts a comparison and prints the first few that fail.
void expect(bool agrees, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Adds portable results to the digest that must be the same on every machine; NaN counts as one number.
void add_bytes_to_digest(const void *bytes, size_t count);
void add_floats_to_digest(const float *floats, size_t count);

// Whether floats are the same bits, or both NaN.
bool same_floats(const float *a, const float *b, size_t count);

// A tail with random parameters for `columns` columns in guarded memory.
struct qk_tail random_tail(enum qk_tail_kind kind, size_t columns);
size_t tail_element_size(enum qk_tail_kind kind);

void check_igemm(enum qk_isa isa);
void check_dwconv(enum qk_isa isa);
void check_vector(enum qk_isa isa);
void check_conv(enum qk_isa isa, size_t rounds);

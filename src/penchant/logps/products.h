/* Products of small matrices of words, for causal.c.

   A word is 32 bits: one float32, or two bfloat16 numbers that the processor multiplies with two others and adds to a
   float32 sum in one step. Two layouts make words of rows of numbers: "turned" transposes them word by word; "paired"
   puts two rows beside each other, number by number (float32: leaves them as they are). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint32_t word;
typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef float lanes_anywhere __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef float float_anywhere __attribute__((may_alias));
typedef int32_t whole_lanes __attribute__((vector_size(4 * LANES)));

#ifdef BFLOAT16
#include <immintrin.h>
typedef uint16_t number;
enum { PAIR = 2 };
#else
typedef float number;
enum { PAIR = 1 };
#endif

enum { DOWN = 6, ACROSS = LANES / 4 }; /* DOWN x ACROSS sums fill the registers */

static inline long least(long a, long b) { return a < b ? a : b; }
static inline long most(long a, long b) { return a > b ? a : b; }
static inline long over(long count, long size) { return (count + size - 1) / size; }
static inline long filled(long count) { return over(count, LANES) * LANES; }

static inline lanes load(const void *from) { return *(const lanes_anywhere *)from; }
static inline void store(float *to, lanes x) { *(lanes_anywhere *)to = x; }
static inline lanes all(float x) { return x - (lanes){0}; }

#ifdef BFLOAT16
static inline lanes dot(lanes sum, lanes a, lanes b) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }
static inline __m256i rounded(lanes x) { return (__m256i)_mm512_cvtneps_pbh(x); }
static inline void store_numbers(number *to, lanes x) { _mm256_storeu_si256((__m256i *)to, rounded(x)); }
static inline void store_beside(word *to, lanes first, lanes second)
{
    __m512i low = _mm512_cvtepu16_epi32(rounded(first)), high = _mm512_cvtepu16_epi32(rounded(second));
    _mm512_storeu_si512(to, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}
#else
static inline lanes dot(lanes sum, lanes a, lanes b) { return sum + a * b; }
static inline void store_numbers(number *to, lanes x) { store(to, x); }
#endif

typedef struct { const word *at; long row, step; } left; /* rows, walked step by step */
typedef struct { const word *at; long step; } right;     /* for each step a row of words, one a column */

/* c = a b, or c += a b, for `down` rows and `across` vectors of columns: both known when compiled. */
static inline __attribute__((always_inline)) void
tile(int down, int across, left a, right b, long steps, float *c, long c_row, int add)
{
    lanes sum[DOWN][ACROSS];
    for (int i = 0; i < down; i++)
        for (int j = 0; j < across; j++) sum[i][j] = add ? load(c + i * c_row + j * LANES) : all(0);
    for (long s = 0; s < steps; s++) {
        lanes here[ACROSS];
        for (int j = 0; j < across; j++) here[j] = load(b.at + s * b.step + j * LANES);
        for (int i = 0; i < down; i++) {
            lanes own = all(*(const float_anywhere *)(a.at + i * a.row + s * a.step));
            for (int j = 0; j < across; j++) sum[i][j] = dot(sum[i][j], own, here[j]);
        }
    }
    for (int i = 0; i < down; i++)
        for (int j = 0; j < across; j++) store(c + i * c_row + j * LANES, sum[i][j]);
}

static inline __attribute__((always_inline)) void
rows(int down, left a, right b, long steps, long columns, float *c, long c_row, int add)
{
    long k = 0;
    for (; k + ACROSS * LANES <= columns; k += ACROSS * LANES)
        tile(down, ACROSS, a, (right){b.at + k, b.step}, steps, c + k, c_row, add);
    for (; k < columns; k += LANES) tile(down, 1, a, (right){b.at + k, b.step}, steps, c + k, c_row, add);
}

/* c (+)= a b for up to DOWN rows; columns in whole vectors. */
static void product(int down, left a, right b, long steps, long columns, float *c, long c_row, int add)
{
    switch (down) {
    case 1: rows(1, a, b, steps, columns, c, c_row, add); break;
    case 2: rows(2, a, b, steps, columns, c, c_row, add); break;
    case 3: rows(3, a, b, steps, columns, c, c_row, add); break;
    case 4: rows(4, a, b, steps, columns, c, c_row, add); break;
    case 5: rows(5, a, b, steps, columns, c, c_row, add); break;
    default: rows(DOWN, a, b, steps, columns, c, c_row, add);
    }
}

/* `count` rows of d numbers, as words of rows beside each other; 0 beside a last odd one. */
static void paired(const number *from, long row, long count, long d, word *to)
{
    for (long r = 0; r < count; r += PAIR, to += d)
        for (long c = 0; c < d; c++)
            for (long p = 0; p < PAIR; p++)
                ((number *)to)[c * PAIR + p] = r + p < count ? from[(r + p) * row + c] : 0;
}

/* The same rows transposed word by word, with 0 behind the last to a whole vector. */
static void turned(const number *from, long row, long count, long d, word *to)
{
    for (long first = 0; first < filled(count); first += LANES)
        for (long w = 0; w < d / PAIR; w++)
            for (long r = first; r < first + LANES; r++) {
                word *here = to + w * filled(count) + r;
                if (r < count) memcpy(here, from + r * row + w * PAIR, sizeof *here);
                else *here = 0;
            }
}

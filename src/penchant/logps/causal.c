/* Causal attention and its gradients on x86 processors: what causal.py puts together from matrix products, in one pass.

   Compiled for one type of numbers (bfloat16 with -DBFLOAT16, else float32) and one width of vectors (-DLANES, floats).
   H query heads, G key heads, n queries, m >= n keys of which the queries are the last n, d channels a head.

   BLOCK queries of one head meet all the keys they see, so that a softmax has its whole row before it. Scores, weights
   and their slopes are float32 in a buffer that stays in the core's cache; bfloat16 weights and slopes are rounded where
   a product needs them. */
#include "products.h"

enum { BLOCK = 48 };

typedef struct {
    long heads, groups, n, m, d, window, threads; /* window: keys this many positions back, or more, are not seen */
    long q_head, q_row, k_head, k_row, v_head, v_row, out_head, out_row, dq_head, dq_row; /* strides, in numbers */
    const number *q, *k, *v, *slope; /* slope: of the output, laid out like it */
    number *out, *dq, *dk, *dv; /* dk and dv are (G, m, d) without gaps */
    float scale;
} attention;

/* One key head's keys and values, for products over channels (turned) and over positions (paired). */
typedef struct { word *k_turned, *v_turned, *k_paired, *v_paired; } packed;

static long packed_size(const attention *t) { return filled(t->m) * t->d / PAIR; }

static packed packed_at(word *packs, const attention *t, long g)
{
    word *at = packs + 4 * g * packed_size(t);
    return (packed){at, at + packed_size(t), at + 2 * packed_size(t), at + 3 * packed_size(t)};
}

static void pack(const attention *t, long g, packed to, int gradients)
{
    const number *k = t->k + g * t->k_head, *v = t->v + g * t->v_head;
    turned(k, t->k_row, t->m, t->d, to.k_turned);
    paired(v, t->v_row, t->m, t->d, to.v_paired);
    if (!gradients) return;
    turned(v, t->v_row, t->m, t->d, to.v_turned);
    paired(k, t->k_row, t->m, t->d, to.k_paired);
}

/* ---- softmax ---- */

static inline float summed(lanes x) { float sum = 0; for (int i = 0; i < LANES; i++) sum += x[i]; return sum; }

/* e^x for x <= 0, within 2e-7 of its size; 0 from e^-87 down, where float32 begins to lose digits; NaN for NaN. */
static inline lanes exponential(lanes x)
{
    const float shift = 12582912; /* 1.5 * 2^23: adding it rounds to a whole number, in the last bits */
    whole_lanes nothing = x <= all(-87);
    lanes power = x * all(1.44269504f) + all(shift);
    whole_lanes exponent = (whole_lanes)power << 23;
    power = power - all(shift);
    lanes rest = x - power * all(0.693359375f);
    rest = rest - power * all(-2.12194440e-4f);
    lanes sum = all(1.0f / 720);
    sum = sum * rest + all(1.0f / 120);
    sum = sum * rest + all(1.0f / 24);
    sum = sum * rest + all(1.0f / 6);
    sum = sum * rest + all(0.5f);
    sum = sum * rest + all(1);
    sum = sum * rest + all(1);
    return (lanes)(((whole_lanes)sum + exponent) & ~nothing);
}

/* Scores of columns `low` to `high`, of which the row sees `first` to `end`, become e^(scale (score - top)), the others
   0; returns the sum. */
static float exponentials(float *row, long low, long first, long end, long high, float scale)
{
    const float hidden = -__builtin_inff();
    for (long k = low; k < first; k++) row[k] = hidden;
    for (long k = end; k < high; k++) row[k] = hidden;
    lanes best = all(hidden), total = all(0);
    for (long k = low; k < high; k += LANES) {
        lanes x = load(row + k);
        whole_lanes more = x > best;
        best = (lanes)(((whole_lanes)x & more) | ((whole_lanes)best & ~more));
    }
    float top = best[0];
    for (int i = 1; i < LANES; i++) top = best[i] > top ? best[i] : top;
    for (long k = low; k < high; k += LANES) {
        lanes e = exponential((load(row + k) - all(top)) * all(scale));
        total += e;
        store(row + k, e);
    }
    return summed(total);
}

/* Exponentials and slopes of weights become weights w and slopes of scores, w (slope - sum of w slope) scale. */
static void softmax_slopes(float *weight, float *slope, long low, long high, float total, float scale)
{
    lanes along = all(0), share = all(1 / total);
    for (long k = low; k < high; k += LANES) {
        lanes w = load(weight + k) * share;
        along += w * load(slope + k);
        store(weight + k, w);
    }
    lanes mean = all(summed(along));
    for (long k = low; k < high; k += LANES)
        store(slope + k, load(weight + k) * (load(slope + k) - mean) * all(scale));
}

/* ---- blocks ---- */

/* BLOCK queries of one head: rows `first` to `last`, which see keys from `low` to `high`, whole vectors of them. */
typedef struct { long head, group, first, last, low, high; } block;

static long blocks_of(const attention *t) { return t->heads * over(t->n, BLOCK); }

static block block_at(const attention *t, long index)
{
    long head = index / over(t->n, BLOCK), first = index % over(t->n, BLOCK) * BLOCK, before = t->m - t->n;
    long last = least(first + BLOCK, t->n), low = most(0, before + first + 1 - t->window) / LANES * LANES;
    return (block){head, head / (t->heads / t->groups), first, last, low, filled(before + last)};
}

/* Blocks in `threads` runs of about equal work: where run r starts; the last entry is where all end. */
static void share_out(const attention *t, long *starts)
{
    long blocks = blocks_of(t), run = 0;
    double all_work = 0, done = 0;
    for (long i = 0; i < blocks; i++) all_work += block_at(t, i).high - block_at(t, i).low;
    for (long i = 0; i < blocks; i++) {
        while (run < t->threads && done >= all_work * run / t->threads) starts[run++] = i;
        done += block_at(t, i).high - block_at(t, i).low;
    }
    while (run <= t->threads) starts[run++] = blocks;
}

static left words(const number *from, long row) { return (left){(const word *)from, row / PAIR, 1}; }

static long forward_buffer(const attention *t) { return 2 * DOWN * filled(t->m) + DOWN * t->d; }

static void forward_block(const attention *t, block at, packed keys, float *buffer)
{
    long width = filled(t->m), before = t->m - t->n;
    float *scores = buffer, *mixed = scores + DOWN * width;
    number *weights = PAIR == 1 ? (number *)scores : (number *)(mixed + DOWN * t->d);
    const number *q = t->q + at.head * t->q_head;
    for (long r = at.first; r < at.last; r += DOWN) {
        int down = least(DOWN, at.last - r);
        long high = filled(before + r + down), positions = over(before + r + down, PAIR) * PAIR - at.low;
        float total[DOWN];
        product(down, words(q + r * t->q_row, t->q_row), (right){keys.k_turned + at.low, width}, t->d / PAIR,
                high - at.low, scores + at.low, width, 0);
        for (int i = 0; i < down; i++) {
            long end = before + r + i + 1;
            total[i] = exponentials(scores + i * width, at.low, most(at.low, end - t->window), end, high, t->scale);
            if (PAIR == 1) continue;
            for (long k = at.low; k < high; k += LANES)
                store_numbers(weights + i * width + k, load(scores + i * width + k));
        }
        product(down, words(weights + at.low, width), (right){keys.v_paired + at.low / PAIR * t->d, t->d},
                positions / PAIR, t->d, mixed, t->d, 0);
        for (int i = 0; i < down; i++)
            for (long c = 0; c < t->d; c += LANES)
                store_numbers(t->out + at.head * t->out_head + (r + i) * t->out_row + c,
                              load(mixed + i * t->d + c) * all(1 / total[i]));
    }
}

/* What a thread works in, backward: BLOCK rows of weights and slopes, as float32 and as words. */
typedef struct {
    float *weights, *slopes, *mixed;
    word *weight_pairs, *slope_pairs, *query_pairs, *out_pairs;
    number *slope_rows;
} buffers;

static long backward_buffer(const attention *t)
{
    return 5 * BLOCK * filled(t->m) + (2 * BLOCK + DOWN) * t->d;
}

static buffers buffers_at(const attention *t, float *at)
{
    long size = BLOCK * filled(t->m), rows = BLOCK * t->d;
    buffers b = {.weights = at, .slopes = at + size, .mixed = at + 5 * size + 2 * rows};
    b.weight_pairs = (word *)(PAIR == 1 ? b.weights : at + 2 * size);
    b.slope_pairs = (word *)(PAIR == 1 ? b.slopes : at + 3 * size);
    b.slope_rows = (number *)(PAIR == 1 ? b.slopes : at + 4 * size);
    b.query_pairs = (word *)(at + 5 * size);
    b.out_pairs = b.query_pairs + rows;
    return b;
}

/* Weights and slopes of scores of a block's rows, and dq. */
static void backward_rows(const attention *t, block at, packed keys, buffers b)
{
    long width = filled(t->m), before = t->m - t->n;
    const number *q = t->q + at.head * t->q_head, *slope = t->slope + at.head * t->out_head;
    for (long r = at.first; r < at.last; r += DOWN) {
        int down = least(DOWN, at.last - r);
        long high = filled(before + r + down), positions = over(before + r + down, PAIR) * PAIR - at.low;
        long row = (r - at.first) * width;
        product(down, words(q + r * t->q_row, t->q_row), (right){keys.k_turned + at.low, width}, t->d / PAIR,
                high - at.low, b.weights + row + at.low, width, 0);
        product(down, words(slope + r * t->out_row, t->out_row), (right){keys.v_turned + at.low, width}, t->d / PAIR,
                high - at.low, b.slopes + row + at.low, width, 0);
        for (int i = 0; i < down; i++) {
            float *weights = b.weights + row + i * width, *slopes = b.slopes + row + i * width;
            long end = before + r + i + 1, first = most(at.low, end - t->window);
            for (long k = high; k < at.high; k++) slopes[k] = 0;
            float total = exponentials(weights, at.low, first, end, at.high, t->scale);
            softmax_slopes(weights, slopes, at.low, at.high, total, t->scale);
            for (long k = at.low; PAIR == 2 && k < high; k += LANES)
                store_numbers(b.slope_rows + row + i * width + k, load(slopes + k));
        }
        product(down, words(b.slope_rows + row + at.low, width), (right){keys.k_paired + at.low / PAIR * t->d, t->d},
                positions / PAIR, t->d, b.mixed, t->d, 0);
        for (int i = 0; i < down; i++)
            for (long c = 0; c < t->d; c += LANES)
                store_numbers(t->dq + at.head * t->dq_head + (r + i) * t->dq_row + c, load(b.mixed + i * t->d + c));
    }
}

#ifdef BFLOAT16
/* Rows of float32 as words of two rows beside each other. */
static void beside(float *from, long count, long low, long high, long width, word *to)
{
    if (count % 2) memset(from + count * width + low, 0, (high - low) * sizeof *from);
    for (long r = 0; r < count; r += 2)
        for (long k = low; k < high; k += LANES)
            store_beside(to + r / 2 * width + k, load(from + r * width + k), load(from + (r + 1) * width + k));
}
#endif

/* What a block adds to dk and dv of its key head. */
static void backward_columns(const attention *t, block at, buffers b, float *dk, float *dv)
{
    long width = filled(t->m), before = t->m - t->n, count = at.last - at.first;
    paired(t->q + at.head * t->q_head + at.first * t->q_row, t->q_row, count, t->d, b.query_pairs);
    paired(t->slope + at.head * t->out_head + at.first * t->out_row, t->out_row, count, t->d, b.out_pairs);
#ifdef BFLOAT16
    beside(b.weights, count, at.low, at.high, width, b.weight_pairs);
    beside(b.slopes, count, at.low, at.high, width, b.slope_pairs);
#endif
    for (long k = at.low; k < before + at.last; k += DOWN) {
        int down = least(DOWN, before + at.last - k);
        long unseen = most(0, k - before - at.first) / PAIR, steps = over(count, PAIR) - unseen;
        long start = unseen * width + k, row = unseen * t->d;
        product(down, (left){b.weight_pairs + start, 1, width}, (right){b.out_pairs + row, t->d}, steps, t->d,
                dv + k * t->d, t->d, 1);
        product(down, (left){b.slope_pairs + start, 1, width}, (right){b.query_pairs + row, t->d}, steps, t->d,
                dk + k * t->d, t->d, 1);
    }
}

/* ---- runs ---- */

static void forward_run(const attention *t, word *packs, float *buffer, long run, const long *starts)
{
    for (long i = starts[run]; i < starts[run + 1]; i++) {
        block at = block_at(t, i);
        forward_block(t, at, packed_at(packs, t, at.group), buffer);
    }
}

/* A run's share of dk and dv for one key head. Runs and heads only ever go up together, so no two get one place. */
static float *sums_at(float *sums, const attention *t, long run, long g) { return sums + (run + g) * 2 * t->m * t->d; }

static void backward_run(const attention *t, word *packs, float *buffer, float *sums, long run, const long *starts)
{
    long current = -1, size = t->m * t->d;
    for (long i = starts[run]; i < starts[run + 1]; i++) {
        block at = block_at(t, i);
        float *own = sums_at(sums, t, run, at.group);
        if (at.group != current) memset(own, 0, 2 * size * sizeof *own);
        current = at.group;
        backward_rows(t, at, packed_at(packs, t, at.group), buffers_at(t, buffer));
        backward_columns(t, at, buffers_at(t, buffer), own, own + size);
    }
}

/* A row of dk or dv: the runs' shares, always added in the same order. */
static void add_up(const attention *t, float *sums, const long *starts, long g, long offset, number *to)
{
    long blocks = blocks_of(t) / t->groups;
    float *first = 0;
    for (long run = 0; run < t->threads; run++) {
        if (most(starts[run], g * blocks) >= least(starts[run + 1], (g + 1) * blocks)) continue;
        float *own = sums_at(sums, t, run, g) + offset;
        for (long c = 0; first && c < t->d; c += LANES) store(first + c, load(first + c) + load(own + c));
        if (!first) first = own;
    }
    for (long c = 0; c < t->d; c += LANES) store_numbers(to + c, load(first + c));
}

/* ---- what Python calls: 0, or 1 where memory is short ---- */

static int solve(const attention *t, int gradients)
{
    long packs = 4 * t->groups * packed_size(t), buffer = gradients ? backward_buffer(t) : forward_buffer(t);
    long shares = gradients ? (t->threads + t->groups - 1) * 2 * t->m * t->d : 0;
    word *memory = malloc((packs + t->threads * buffer + shares) * sizeof *memory);
    long *starts = malloc((t->threads + 1) * sizeof *starts);
    int failed = !memory || !starts;
    if (!failed) {
        float *work = (float *)(memory + packs), *sums = work + t->threads * buffer;
        share_out(t, starts);
#pragma omp parallel num_threads(t->threads)
        {
#pragma omp for
            for (long g = 0; g < t->groups; g++) pack(t, g, packed_at(memory, t, g), gradients);
#pragma omp for
            for (long run = 0; run < t->threads; run++)
                if (gradients) backward_run(t, memory, work + run * buffer, sums, run, starts);
                else forward_run(t, memory, work + run * buffer, run, starts);
#pragma omp for
            for (long row = 0; row < (gradients ? t->groups * t->m : 0); row++) {
                long g = row / t->m, offset = row % t->m * t->d;
                add_up(t, sums, starts, g, offset, t->dk + row * t->d);
                add_up(t, sums, starts, g, t->m * t->d + offset, t->dv + row * t->d);
            }
        }
    }
    free(memory);
    free(starts);
    return failed;
}

int forward(const attention *t) { return solve(t, 0); }

int backward(const attention *t) { return solve(t, 1); }

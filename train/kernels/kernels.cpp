// SPDX-License-Identifier: Apache-2.0
// What lies between the products of a training step, fused for CPUs: batch norm with sign, and max pool.
//
// Tensors are bfloat16 with the channels last and contiguous: n pixels of c channels, or b images of h x w pixels.
// Sums are taken in float32 over blocks of pixels and in float64 over blocks, by a fixed division among the threads,
// so that equal inputs and thread counts give equal bits.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace {

using bf16 = std::uint16_t;
constexpr bf16 PLUS = 0x3F80, MINUS = 0xBF80;  // 1 and -1
constexpr long BLOCK = 256;                    // pixels between additions in float64
constexpr long GROUP = 64;                     // channels at once

inline std::uint32_t bits(float x) {
  std::uint32_t u;
  std::memcpy(&u, &x, sizeof u);
  return u;
}

inline float wide(bf16 x) {
  const std::uint32_t u = std::uint32_t(x) << 16;
  float f;
  std::memcpy(&f, &u, sizeof f);
  return f;
}

inline bf16 narrow(float x) {  // rounds to nearest, ties to even
  const std::uint32_t u = bits(x);
  return bf16((u + 0x7FFF + ((u >> 16) & 1)) >> 16);
}

inline std::int16_t order(bf16 x) {  // an integer that grows with the number
  return std::int16_t(x ^ (x >> 15 ? 0x7FFF : 0));
}

// found[j] = table[at[j]] for GROUP values: compilers do not gather by themselves.
inline void look_up(const float* table, const std::uint16_t* at, float* found) {
#ifdef __AVX512F__
  for (long j = 0; j < GROUP; j += 16) {
    const __m256i places = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + j));
    _mm512_storeu_ps(found + j, _mm512_i32gather_ps(_mm512_cvtepu16_epi32(places), table, sizeof *table));
  }
#else
  for (long j = 0; j < GROUP; ++j) found[j] = table[at[j]];
#endif
}

// Calls work(first, last, thread) for each thread's share of n.
template <class Work>
void shared(long n, int threads, Work work) {
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int t = 0; t < threads; ++t) work(n * t / threads, n * (t + 1) / threads, t);
}

// Two sums a channel, of what term(pixel, channel, first, second) adds; out: (2, c).
template <class Term>
void sums(long n, long c, int threads, double* out, Term term) {
  std::vector<double> parts(2 * c * threads, 0.0);
  shared(n, threads, [&](long first, long last, int t) {
    std::vector<float> block(2 * c);
    float *const p = block.data(), *const q = p + c;
    double* const total = parts.data() + 2 * c * t;
    for (long start = first; start < last; start += BLOCK) {
      std::fill(block.begin(), block.end(), 0.0f);
      for (long i = start; i < std::min(start + BLOCK, last); ++i) term(i, p, q);
      for (long j = 0; j < 2 * c; ++j) total[j] += block[j];
    }
  });
  std::fill(out, out + 2 * c, 0.0);
  for (int t = 0; t < threads; ++t)
    for (long j = 0; j < 2 * c; ++j) out[j] += parts[2 * c * t + j];
}

}  // namespace

extern "C" {

// out: (2, c), the sums of x and of x * x over the pixels.
void moments(const bf16* x, long n, long c, double* out, int threads) {
  sums(n, c, threads, out, [=](long i, float* __restrict p, float* __restrict q) {
    const bf16* __restrict row = x + i * c;
    for (long j = 0; j < c; ++j) {
      const float v = wide(row[j]);
      p[j] += v;
      q[j] += v * v;
    }
  });
}

// y = sign(x * a + b + s), a and b (c,); s is null or has x's shape.
void norm_sign(const bf16* x, const bf16* s, const float* a, const float* b, long n, long c, bf16* y, int threads) {
  shared(n, threads, [=](long first, long last, int) {
    for (long i = first; i < last; ++i) {
      const bf16 *__restrict row = x + i * c, *__restrict more = s + i * c;
      bf16* __restrict out = y + i * c;
      if (s)
        for (long j = 0; j < c; ++j) out[j] = wide(row[j]) * a[j] + b[j] + wide(more[j]) >= 0 ? PLUS : MINUS;
      else
        for (long j = 0; j < c; ++j) out[j] = wide(row[j]) * a[j] + b[j] >= 0 ? PLUS : MINUS;
    }
  });
}

// d = g * slope(x * a + b + s); out: (2, c), the sums of d and of d * (x - mean) over the pixels.
// The slope is given by its values at all 2**16 numbers of bfloat16.
void sign_backward(const bf16* x, const bf16* s, const bf16* g, const float* a, const float* b, const float* mean,
                   const float* slope, long n, long c, bf16* d, double* out, int threads) {
  sums(n, c, threads, out, [=](long i, float* __restrict p, float* __restrict q) {
    const bf16 *__restrict row = x + i * c, *__restrict grad = g + i * c, *__restrict more = s + i * c;
    bf16* __restrict made = d + i * c;
    for (long start = 0; start < c; start += GROUP) {
      const long end = std::min(start + GROUP, c);
      std::uint16_t at[GROUP] = {};
      float found[GROUP];
      if (s)
        for (long j = start; j < end; ++j)
          at[j - start] = narrow(wide(row[j]) * a[j] + b[j] + wide(more[j]));
      else
        for (long j = start; j < end; ++j) at[j - start] = narrow(wide(row[j]) * a[j] + b[j]);
      look_up(slope, at, found);
      for (long j = start; j < end; ++j) {
        const float part = wide(grad[j]) * found[j - start];
        p[j] += part;
        q[j] += part * (wide(row[j]) - mean[j]);
        made[j] = narrow(part);
      }
    }
  });
}

// dx = d * k + x * l + m, each (c,); dx may be d.
void norm_backward(const bf16* x, const bf16* d, const float* k, const float* l, const float* m, long n, long c,
                   bf16* dx, int threads) {
  shared(n, threads, [=](long first, long last, int) {
    for (long i = first; i < last; ++i) {
      const bf16* __restrict row = x + i * c;
      for (long j = 0; j < c; ++j) dx[i * c + j] = narrow(wide(d[i * c + j]) * k[j] + (wide(row[j]) * l[j] + m[j]));
    }
  });
}

// Maxima of windows of p x q pixels side by side; which: the number of each maximum in its window, the first of equals.
void max_pool(const bf16* x, long b, long h, long w, long c, long p, long q, bf16* y, std::int16_t* which,
              int threads) {
  const long rows = h / p, columns = w / q;
  shared(b * rows, threads, [=](long first, long last, int) {
    for (long i = first; i < last; ++i)
      for (long o = 0; o < columns; ++o) {
        const bf16* from = x + ((i / rows * h + i % rows * p) * w + o * q) * c;
        bf16* __restrict best = y + (i * columns + o) * c;
        std::int16_t* __restrict at = which + (i * columns + o) * c;
        std::memcpy(best, from, c * sizeof(bf16));
        std::memset(at, 0, c * sizeof *at);
        for (long k = 1; k < p * q; ++k) {
          const bf16* __restrict next = from + (k / q * w + k % q) * c;
          for (long j = 0; j < c; ++j) {
            const bool more = order(next[j]) > order(best[j]);
            best[j] = more ? next[j] : best[j];
            at[j] = more ? std::int16_t(k) : at[j];
          }
        }
      }
  });
}

// The gradient of max_pool with respect to x.
void max_pool_backward(const bf16* g, const std::int16_t* which, long b, long h, long w, long c, long p, long q,
                       bf16* dx, int threads) {
  const long rows = h / p, columns = w / q;
  shared(b * h, threads, [=](long first, long last, int) {
    for (long i = first; i < last; ++i) {
      const long row = i % h / p, filled = row < rows ? columns * q : 0;
      bf16* line = dx + i * w * c;
      for (long o = 0; o < filled; ++o) {
        const long from = ((i / h * rows + row) * columns + o / q) * c;
        const bf16* __restrict grad = g + from;
        const std::int16_t* __restrict at = which + from;
        const std::int16_t own = std::int16_t(i % h % p * q + o % q);
        bf16* __restrict out = line + o * c;
        for (long j = 0; j < c; ++j) out[j] = at[j] == own ? grad[j] : bf16(0);
      }
      std::memset(line + filled * c, 0, (w - filled) * c * sizeof(bf16));
    }
  });
}

}  // extern "C"

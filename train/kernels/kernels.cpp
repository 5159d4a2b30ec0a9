// SPDX-License-Identifier: Apache-2.0
// What lies between the products of a training step, fused for CPUs: batch norm with its quantizer and pad, max pool.
//
// Tensors are bfloat16 with the channels last. A `Pixels` may be the inside of a padded tensor: its lines are w * c
// contiguous numbers, and lines and images lie at any distance. Sums are taken in float32 over blocks of pixels and in
// float64 over blocks, by a fixed division among the threads: equal inputs and thread counts give equal bits.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace {

using bf16 = std::uint16_t;
constexpr bf16 PLUS = 0x3F80, MINUS = 0xBF80;  // 1 and -1
constexpr long BLOCK = 256;                    // rows, about, between additions in float64
constexpr long GROUP = 64;                     // channels at once; of fewer, several pixels are one row

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
inline void look_up(const float* table, const bf16* at, float* found) {
#ifdef __AVX512F__
  for (long j = 0; j < GROUP; j += 16) {
    const __m256i places = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + j));
    _mm512_storeu_ps(found + j, _mm512_i32gather_ps(_mm512_cvtepu16_epi32(places), table, sizeof *table));
  }
#else
  for (long j = 0; j < GROUP; ++j) found[j] = table[at[j]];
#endif
}

// 32 random bits of a place: a counter times an odd constant, and MurmurHash3's finalizer.
inline std::uint32_t random_bits(std::uint32_t place, std::uint32_t seed) {
  std::uint32_t h = place * 0x9E3779B9u + seed;
  h = (h ^ h >> 16) * 0x85EBCA6Bu;
  h = (h ^ h >> 13) * 0xC2B2AE35u;
  return h ^ h >> 16;
}

// Calls work(first, last, thread) for each thread's share of n.
template <class Work>
void shared(long n, int threads, Work work) {
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int t = 0; t < threads; ++t) work(n * t / threads, n * (t + 1) / threads, t);
}

}  // namespace

extern "C" {

// b images of h lines of w pixels of c channels; the distances are in numbers.
struct Shape {
  long b, h, w, c;
};
struct Pixels {
  bf16* at;
  long image, line;
};

// A quantizer: value(z + noise * n), or sign for a random share of the numbers; n is standard normal. Functions are
// tables of their values at all 2**16 numbers of bfloat16; a null value is sign. `normal` has the 2**16 quantiles.
struct Quantizer {
  const float *value, *slope, *normal;
  float noise, share;
  std::uint32_t seed;
};

}  // extern "C"

namespace {

// A line of pixels as rows of several channels: `together` pixels are one row.
struct Rows {
  long lines, rows, together, c;  // rows of a line; c channels of a row

  explicit Rows(const Shape& s) : lines(s.b * s.h), rows(s.w), together(1), c(s.c) {
    for (long n = GROUP / s.c; n > 1; --n)
      if (s.w % n == 0) {
        rows = s.w / n, together = n, c = s.c * n;
        break;
      }
  }

  std::vector<float> repeated(const std::vector<float>& values) const {
    std::vector<float> out;
    for (long k = 0; k < together; ++k) out.insert(out.end(), values.begin(), values.end());
    return out;
  }
};

inline bf16* line(const Pixels& p, const Shape& s, long l) {
  return p.at ? p.at + l / s.h * p.image + l % s.h * p.line : nullptr;
}

// Two sums a channel, (2, c), of what term(line, first, second) adds.
template <class Term>
std::vector<double> sums(const Shape& s, const Rows& r, int threads, Term term) {
  std::vector<double> parts(2 * r.c * threads, 0.0), out(2 * s.c, 0.0);
  const long step = std::max(1L, BLOCK / r.rows);
  shared(r.lines, threads, [&](long first, long last, int t) {
    std::vector<float> block(2 * r.c);
    float *const p = block.data(), *const q = p + r.c;
    double* const total = parts.data() + 2 * r.c * t;
    for (long start = first; start < last; start += step) {
      std::fill(block.begin(), block.end(), 0.0f);
      for (long l = start; l < std::min(start + step, last); ++l) term(l, p, q);
      for (long j = 0; j < 2 * r.c; ++j) total[j] += block[j];
    }
  });
  for (long t = 0; t < threads; ++t)
    for (long k = 0; k < 2; ++k)
      for (long j = 0; j < r.c; ++j) out[k * s.c + j % s.c] += parts[(2 * t + k) * r.c + j];
  return out;
}

// The batch norm as x * a + b.
struct Affine {
  std::vector<float> a, b, inverse;

  Affine(long c, const float* weight, const float* bias, const float* mean, const float* var, float eps)
      : a(c), b(c), inverse(c) {
    for (long j = 0; j < c; ++j) {
      inverse[j] = float(1.0 / std::sqrt(double(var[j]) + eps));
      a[j] = float(double(weight[j]) / std::sqrt(double(var[j]) + eps));
      b[j] = float(bias[j] - double(mean[j]) * weight[j] / std::sqrt(double(var[j]) + eps));
    }
  }
};

// z = x * a + b + more + noise of `count` <= GROUP numbers; `place` is that of the first one in the whole tensor.
struct Latents {
  bf16 z[GROUP] = {};
  std::uint32_t draws[GROUP];

  void compute(const bf16* __restrict x, const bf16* __restrict more, const float* __restrict a,
               const float* __restrict b, long count, const Quantizer& f, long place) {
    float v[GROUP] = {};
    if (more)
      for (long j = 0; j < count; ++j) v[j] = wide(x[j]) * a[j] + b[j] + wide(more[j]);
    else
      for (long j = 0; j < count; ++j) v[j] = wide(x[j]) * a[j] + b[j];
    if (f.noise > 0 || f.share > 0)
      for (long j = 0; j < GROUP; ++j) draws[j] = random_bits(std::uint32_t(place + j), f.seed);
    if (f.noise > 0) {
      bf16 at[GROUP];
      float n[GROUP];
      for (long j = 0; j < GROUP; ++j) at[j] = bf16(draws[j]);
      look_up(f.normal, at, n);
      for (long j = 0; j < GROUP; ++j) v[j] += f.noise * n[j];
    }
    for (long j = 0; j < count; ++j) z[j] = narrow(v[j]);
  }
};

// The border of a tensor that is padded by p lines and q pixels on each side: -1. y is its inside.
void border(const Pixels& y, const Shape& s, long p, long q, int threads) {
  if (!p && !q) return;
  const long wide_line = (s.w + 2 * q) * s.c;
  shared(s.b, threads, [&](long first, long last, int) {
    for (long i = first; i < last; ++i) {
      bf16* const start = y.at + i * y.image - p * y.line - q * s.c;
      std::fill(start, start + p * wide_line, MINUS);
      for (long l = 0; l < s.h; ++l) {
        bf16* const side = start + (p + l) * y.line;
        std::fill(side, side + q * s.c, MINUS);
        std::fill(side + (q + s.w) * s.c, side + wide_line, MINUS);
      }
      std::fill(start + (p + s.h) * y.line, start + (2 * p + s.h) * y.line, MINUS);
    }
  });
}

}  // namespace

extern "C" {

// mean and var, biased: (c,), of x over the pixels.
void moments(Pixels x, Shape s, float* mean, float* var, int threads) {
  const Rows r(s);
  const auto found = sums(s, r, threads, [&](long l, float* __restrict p, float* __restrict q) {
    const bf16* __restrict row = line(x, s, l);
    for (long i = 0; i < r.rows; ++i, row += r.c)
      for (long j = 0; j < r.c; ++j) {
        const float v = wide(row[j]);
        p[j] += v;
        q[j] += v * v;
      }
  });
  const double n = double(s.b) * s.h * s.w;
  for (long j = 0; j < s.c; ++j) {
    const double m = found[j] / n;
    mean[j] = float(m);
    var[j] = float(std::max(0.0, found[s.c + j] / n - m * m));
  }
}

// y = f(norm(x) + more); more is null or has x's shape. y is padded by -1, p lines and q pixels on each side.
void norm_quantize(Pixels x, Pixels more, const float* weight, const float* bias, const float* mean, const float* var,
                   float eps, Quantizer f, Shape s, Pixels y, long p, long q, int threads) {
  const Rows r(s);
  const Affine norm(s.c, weight, bias, mean, var, eps);
  const auto as = r.repeated(norm.a), bs = r.repeated(norm.b);
  border(y, s, p, q, threads);
  shared(r.lines, threads, [&](long first, long last, int) {
    const float *__restrict a = as.data(), *__restrict b = bs.data();
    for (long l = first; l < last; ++l) {
      const bf16 *__restrict row = line(x, s, l), *__restrict add = line(more, s, l);
      bf16* __restrict out = line(y, s, l);
      for (long i = 0; i < r.rows; ++i, row += r.c, add += r.c, out += r.c)
        if (f.value || f.noise > 0)
          for (long start = 0; start < r.c; start += GROUP) {
            const long count = std::min(GROUP, r.c - start);
            Latents found;
            float values[GROUP];
            found.compute(row + start, more.at ? add + start : nullptr, a + start, b + start, count, f,
                          (l * r.rows + i) * r.c + start);
            if (f.value) look_up(f.value, found.z, values);
            for (long j = 0; j < count; ++j) {
              const bool hard = !f.value || (f.share > 0 && (found.draws[j] >> 16) < f.share * 65536);
              out[start + j] = !hard ? narrow(values[j]) : wide(found.z[j]) >= 0 ? PLUS : MINUS;
            }
          }
        else if (more.at)
          for (long j = 0; j < r.c; ++j) out[j] = wide(row[j]) * a[j] + b[j] + wide(add[j]) >= 0 ? PLUS : MINUS;
        else
          for (long j = 0; j < r.c; ++j) out[j] = wide(row[j]) * a[j] + b[j] >= 0 ? PLUS : MINUS;
    }
  });
}

// The gradient with respect to x, weight, bias and more, where slope stands for the derivative of value and of sign.
// dmore may be where dx is, if it is not needed.
void norm_quantize_backward(Pixels x, Pixels more, Pixels g, const float* weight, const float* bias, const float* mean,
                            const float* var, float eps, Quantizer f, Shape s, Pixels dmore, Pixels dx, float* dweight,
                            float* dbias, int threads) {
  const Rows r(s);
  const Affine norm(s.c, weight, bias, mean, var, eps);
  const auto as = r.repeated(norm.a), bs = r.repeated(norm.b);
  const auto ms = r.repeated(std::vector<float>(mean, mean + s.c));
  const auto found = sums(s, r, threads, [&](long l, float* __restrict p, float* __restrict q) {
    const float *__restrict a = as.data(), *__restrict b = bs.data(), *__restrict m = ms.data();
    const bf16 *__restrict row = line(x, s, l), *__restrict grad = line(g, s, l), *__restrict add = line(more, s, l);
    bf16* __restrict made = line(dmore, s, l);
    for (long i = 0; i < r.rows; ++i, row += r.c, grad += r.c, add += r.c, made += r.c)
      for (long start = 0; start < r.c; start += GROUP) {
        const long end = std::min(start + GROUP, r.c);
        Latents found;
        float slopes[GROUP];
        found.compute(row + start, more.at ? add + start : nullptr, a + start, b + start, end - start, f,
                      (l * r.rows + i) * r.c + start);
        look_up(f.slope, found.z, slopes);
        for (long j = start; j < end; ++j) {
          const float part = wide(grad[j]) * slopes[j - start];
          p[j] += part;
          q[j] += part * (wide(row[j]) - m[j]);
          made[j] = narrow(part);
        }
      }
  });
  const double n = double(s.b) * s.h * s.w;
  std::vector<float> along(s.c), rest(s.c);  // dx = d * a + x * along + rest
  for (long j = 0; j < s.c; ++j) {
    const double inverse = norm.inverse[j], of_weight = found[s.c + j] * inverse;
    dbias[j] = float(found[j]);
    dweight[j] = float(of_weight);
    along[j] = float(-norm.a[j] * inverse * of_weight / n);
    rest[j] = float(-norm.a[j] * found[j] / n + norm.a[j] * inverse * of_weight / n * mean[j]);
  }
  const auto ls = r.repeated(along), rs = r.repeated(rest);
  shared(r.lines, threads, [&](long first, long last, int) {
    const float *__restrict a = as.data(), *__restrict k = ls.data(), *__restrict m = rs.data();
    for (long l = first; l < last; ++l) {
      const bf16 *__restrict row = line(x, s, l), *d = line(dmore, s, l);
      bf16* out = line(dx, s, l);
      for (long i = 0; i < r.rows; ++i, row += r.c, d += r.c, out += r.c)
        for (long j = 0; j < r.c; ++j) out[j] = narrow(wide(d[j]) * a[j] + (wide(row[j]) * k[j] + m[j]));
    }
  });
}

// Maxima of windows of p x q pixels side by side; which: the number of each maximum in its window, the first of equals.
// x, y and which are contiguous.
void max_pool(const bf16* x, Shape s, long p, long q, bf16* y, std::int16_t* which, int threads) {
  const long rows = s.h / p, columns = s.w / q;
  shared(s.b * rows, threads, [&](long first, long last, int) {
    for (long i = first; i < last; ++i)
      for (long o = 0; o < columns; ++o) {
        const bf16* from = x + ((i / rows * s.h + i % rows * p) * s.w + o * q) * s.c;
        bf16* __restrict best = y + (i * columns + o) * s.c;
        std::int16_t* __restrict at = which + (i * columns + o) * s.c;
        std::memcpy(best, from, s.c * sizeof *best);
        std::memset(at, 0, s.c * sizeof *at);
        for (long k = 1; k < p * q; ++k) {
          const bf16* __restrict next = from + (k / q * s.w + k % q) * s.c;
          for (long j = 0; j < s.c; ++j) {
            const bool more = order(next[j]) > order(best[j]);
            best[j] = more ? next[j] : best[j];
            at[j] = more ? std::int16_t(k) : at[j];
          }
        }
      }
  });
}

// The gradient of max_pool with respect to x.
void max_pool_backward(const bf16* g, const std::int16_t* which, Shape s, long p, long q, bf16* dx, int threads) {
  const long rows = s.h / p, columns = s.w / q;
  shared(s.b * s.h, threads, [&](long first, long last, int) {
    for (long i = first; i < last; ++i) {
      const long row = i % s.h / p, filled = row < rows ? columns * q : 0;
      bf16* to = dx + i * s.w * s.c;
      for (long o = 0; o < filled; ++o) {
        const long from = ((i / s.h * rows + row) * columns + o / q) * s.c;
        const bf16* __restrict grad = g + from;
        const std::int16_t* __restrict at = which + from;
        const std::int16_t own = std::int16_t(i % s.h % p * q + o % q);
        bf16* __restrict out = to + o * s.c;
        for (long j = 0; j < s.c; ++j) out[j] = at[j] == own ? grad[j] : bf16(0);
      }
      std::memset(to + filled * s.c, 0, (s.w - filled) * s.c * sizeof *to);
    }
  });
}

}  // extern "C"

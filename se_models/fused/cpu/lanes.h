// Vectors of whatever a map holds, with float (or double) arithmetic, and sums of them.

#pragma once

#include <ATen/OpMathType.h>
#include <ATen/cpu/vec/functional.h>
#include <ATen/cpu/vec/vec.h>
#include <c10/macros/Macros.h>

#include <array>
#include <tuple>
#include <utility>

namespace {

using at::vec::Vectorized;

// As many values as one vector of scalar_t holds, widened to one or two vectors of acc_t.
template <typename scalar_t>
struct Lanes {
  using acc_t = at::opmath_type<scalar_t>;
  using Vec = Vectorized<acc_t>;
  static constexpr int64_t size = Vectorized<scalar_t>::size();
  static constexpr int64_t parts = size / Vec::size();

  Vec part[parts];

  static Lanes filled(acc_t value) {
    Lanes made;
    for (auto& each : made.part) {
      each = Vec(value);
    }
    return made;
  }

  static Lanes load(const scalar_t* from) {
    Lanes made;
    if constexpr (parts == 1) {
      made.part[0] = Vec::loadu(from);
    } else {
      std::tie(made.part[0], made.part[1]) =
          at::vec::convert_to_float<scalar_t>(Vectorized<scalar_t>::loadu(from));
    }
    return made;
  }

  // Of values that are acc_t already, such as gates.
  static Lanes load_wide(const acc_t* from) {
    Lanes made;
    for (int64_t n = 0; n < parts; ++n) {
      made.part[n] = Vec::loadu(from + n * Vec::size());
    }
    return made;
  }

  void store(scalar_t* to) const {
    if constexpr (parts == 1) {
      part[0].store(to);
    } else {
      at::vec::convert_from_float<scalar_t>(part[0], part[1]).store(to);
    }
  }

  void store_wide(acc_t* to) const {
    for (int64_t n = 0; n < parts; ++n) {
      part[n].store(to + n * Vec::size());
    }
  }

  Lanes& operator+=(const Lanes& other) {
    for (int64_t n = 0; n < parts; ++n) {
      part[n] = part[n] + other.part[n];
    }
    return *this;
  }

  acc_t sum() const {
    Vec all = part[0];
    for (int64_t n = 1; n < parts; ++n) {
      all = all + part[n];
    }
    return at::vec::vec_reduce_all<acc_t>([](Vec a, Vec b) { return a + b; }, all);
  }
};

// a * b + c
template <typename scalar_t>
Lanes<scalar_t> fused(Lanes<scalar_t> a, const Lanes<scalar_t>& b, const Lanes<scalar_t>& c) {
  for (int64_t n = 0; n < Lanes<scalar_t>::parts; ++n) {
    a.part[n] = at::vec::fmadd(a.part[n], b.part[n], c.part[n]);
  }
  return a;
}

template <typename scalar_t>
Lanes<scalar_t> times(Lanes<scalar_t> a, const Lanes<scalar_t>& b) {
  for (int64_t n = 0; n < Lanes<scalar_t>::parts; ++n) {
    a.part[n] = a.part[n] * b.part[n];
  }
  return a;
}

// Both of these let NaN pass, as torch.relu does.
template <typename scalar_t>
Lanes<scalar_t> rectified(Lanes<scalar_t> a) {
  using Vec = typename Lanes<scalar_t>::Vec;
  for (auto& each : a.part) {
    each = at::vec::clamp_min(each, Vec(0));
  }
  return a;
}

template <typename acc_t>
acc_t rectified(acc_t a) {
  return a < acc_t(0) ? acc_t(0) : a;
}

// Sums that are taken side by side, so that none waits for the one before.
constexpr int64_t kChains = 4;

// Sums of nothing yet. An array that is filled later would be cleared in memory first, which takes
// longer than a plane of 7 x 7.
template <typename scalar_t, size_t... n>
C10_ALWAYS_INLINE std::array<Lanes<scalar_t>, sizeof...(n)> zeros(std::index_sequence<n...>) {
  return {(static_cast<void>(n), Lanes<scalar_t>::filled(0))...};
}

template <typename scalar_t>
at::opmath_type<scalar_t> sum_of(const std::array<Lanes<scalar_t>, kChains>& sums) {
  static_assert(kChains == 4);
  Lanes<scalar_t> first = sums[0], second = sums[2];
  first += sums[1];
  second += sums[3];
  first += second;
  return first.sum();
}

}  // namespace

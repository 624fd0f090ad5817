// Means over height and width, of a map or of its ReLU.

#pragma once

#include <ATen/Dispatch.h>

#include "lanes.h"
#include "map.h"
#include "pieces.h"

namespace {

template <typename scalar_t, bool relu>
at::opmath_type<scalar_t> sum_of_plane(const scalar_t* x, int64_t area) {
  using L = Lanes<scalar_t>;
  const auto value = [](const scalar_t* from) {
    return relu ? rectified(L::load(from)) : L::load(from);
  };
  double sum = 0;
  int64_t i = 0;
  while (i + L::size <= area) {
    auto sums = zeros<scalar_t>(std::make_index_sequence<kChains>());
    const int64_t stop = std::min(area, i + kSummed<L::size>);
    for (; i + kChains * L::size <= stop; i += kChains * L::size) {
      for (int64_t n = 0; n < kChains; ++n) {
        sums[n] += value(x + i + n * L::size);
      }
    }
    for (; i + L::size <= stop; i += L::size) {
      sums[0] += value(x + i);
    }
    sum += sum_of(sums);
  }
  for (; i < area; ++i) {
    const auto single = static_cast<typename L::acc_t>(x[i]);
    sum += relu ? rectified(single) : single;
  }
  return static_cast<typename L::acc_t>(sum);
}

template <typename scalar_t, bool relu, int64_t pixels>
void add_pixels(const scalar_t* x, int64_t channels, at::opmath_type<scalar_t>* sums) {
  using L = Lanes<scalar_t>;
  int64_t c = 0;
// Alone, a step is so short that where the compiler happens to place it decides its speed.
#pragma GCC unroll 4
  for (; c + L::size <= channels; c += L::size) {
    L sum = L::load_wide(sums + c);
    for (int64_t n = 0; n < pixels; ++n) {
      const L value = L::load(x + n * channels + c);
      sum += relu ? rectified(value) : value;
    }
    sum.store_wide(sums + c);
  }
  for (; c < channels; ++c) {
    for (int64_t n = 0; n < pixels; ++n) {
      const auto single = static_cast<typename L::acc_t>(x[n * channels + c]);
      sums[c] += relu ? rectified(single) : single;
    }
  }
}

template <typename scalar_t, bool relu>
void squeeze_map(const Map& map, at::opmath_type<scalar_t>* means) {
  using acc_t = at::opmath_type<scalar_t>;
  const scalar_t* const x = map.values.const_data_ptr<scalar_t>();
  if (map.layout == Layout::planes) {
    at::parallel_for(0, map.batch * map.channels, grain(map.area), [&](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) {
        means[plane] = sum_of_plane<scalar_t, relu>(x + plane * map.area, map.area) /
            static_cast<acc_t>(map.area);
      }
    });
    return;
  }
  mean_over_pixels<acc_t>(map, means, [&](int64_t image, int64_t first, int64_t last, acc_t* sums) {
    const scalar_t* from = x + (image * map.area + first) * map.channels;
    in_groups<scalar_t>(map.channels, first, last, [&](auto pixels) {
      add_pixels<scalar_t, relu, pixels>(from, map.channels, sums);
      from += pixels * map.channels;
    });
  });
}

Tensor squeeze(const Tensor& x, bool relu) {
  const Map map = map_of(x);
  Tensor means = empty_means(map);
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, x.scalar_type(), "squeeze", [&] {
    using acc_t = at::opmath_type<scalar_t>;
    acc_t* const data = means.mutable_data_ptr<acc_t>();
    relu ? squeeze_map<scalar_t, true>(map, data) : squeeze_map<scalar_t, false>(map, data);
  });
  return means;
}

}  // namespace

// The tail of a block, in place: relu(x * gate + bias + shortcut * shortcut_gate), and its means.

#pragma once

#include <ATen/Dispatch.h>

#include <cstdlib>

#include "lanes.h"
#include "map.h"
#include "pieces.h"

namespace {

// relu(x * gate + bias + shortcut * shortcut_gate), of a run of values that share all three; their
// sum, if it is asked for.
template <typename scalar_t, bool with_shortcut, bool with_sum>
at::opmath_type<scalar_t> finish_run(
    scalar_t* x, const scalar_t* shortcut, int64_t count, at::opmath_type<scalar_t> gate,
    at::opmath_type<scalar_t> bias, at::opmath_type<scalar_t> shortcut_gate) {
  using L = Lanes<scalar_t>;
  const L gates = L::filled(gate), biases = L::filled(bias);
  const L shortcut_gates = L::filled(shortcut_gate);
  const auto finish_vector = [&](int64_t i) {
    L value = fused(L::load(x + i), gates, biases);
    if constexpr (with_shortcut) {
      value = fused(L::load(shortcut + i), shortcut_gates, value);
    }
    value = rectified(value);
    value.store(x + i);
    return value;
  };
  double sum = 0;
  int64_t i = 0;
  while (i + L::size <= count) {
    auto sums = zeros<scalar_t>(std::make_index_sequence<kChains>());
    const int64_t stop = with_sum ? std::min(count, i + kSummed<L::size>) : count;
    for (; i + kChains * L::size <= stop; i += kChains * L::size) {
      for (int64_t n = 0; n < kChains; ++n) {
        const L value = finish_vector(i + n * L::size);
        if constexpr (with_sum) {
          sums[n] += value;
        }
      }
    }
    for (; i + L::size <= stop; i += L::size) {
      const L value = finish_vector(i);
      if constexpr (with_sum) {
        sums[0] += value;
      }
    }
    if constexpr (with_sum) {
      sum += sum_of(sums);
    }
  }
  for (; i < count; ++i) {
    auto value = static_cast<typename L::acc_t>(x[i]) * gate + bias;
    if constexpr (with_shortcut) {
      value += static_cast<typename L::acc_t>(shortcut[i]) * shortcut_gate;
    }
    value = rectified(value);
    sum += value;
    x[i] = static_cast<scalar_t>(value);
  }
  return static_cast<typename L::acc_t>(sum);
}

// The same of pixels, each of whose channels has its own. Without ``full`` there is neither bias nor
// shortcut_gate: that is the tail of most blocks, and loading them takes as long as the map does.
// From one pixel to the next it is ``pitch`` values, of which the first few channels may be all that
// is to be finished.
template <
    typename scalar_t, bool with_shortcut, bool with_sums, bool full, bool relu, int64_t pixels>
void finish_pixels(
    scalar_t* x, const scalar_t* shortcut, int64_t channels, int64_t pitch,
    const at::opmath_type<scalar_t>* gate, const at::opmath_type<scalar_t>* bias,
    const at::opmath_type<scalar_t>* shortcut_gate, at::opmath_type<scalar_t>* sums) {
  using L = Lanes<scalar_t>;
  using acc_t = typename L::acc_t;
  const L one = L::filled(1), zero = L::filled(0);
  int64_t c = 0;
  for (; c + L::size <= channels; c += L::size) {
    const L gates = L::load_wide(gate + c);
    const L biases = full ? L::load_wide(bias + c) : zero;
    const L shortcut_gates = full ? L::load_wide(shortcut_gate + c) : one;
    L sum = with_sums ? L::load_wide(sums + c) : zero;
    for (int64_t n = 0; n < pixels; ++n) {
      const int64_t i = n * pitch + c;
      L value = fused(L::load(x + i), gates, biases);
      if constexpr (with_shortcut) {
        value = fused(L::load(shortcut + i), shortcut_gates, value);
      }
      value = relu ? rectified(value) : value;
      sum += value;
      value.store(x + i);
    }
    if constexpr (with_sums) {
      sum.store_wide(sums + c);
    }
  }
  for (; c < channels; ++c) {
    for (int64_t n = 0; n < pixels; ++n) {
      const int64_t i = n * pitch + c;
      acc_t value = static_cast<acc_t>(x[i]) * gate[c] + (full ? bias[c] : acc_t(0));
      if constexpr (with_shortcut) {
        value += static_cast<acc_t>(shortcut[i]) * (full ? shortcut_gate[c] : acc_t(1));
      }
      value = relu ? rectified(value) : value;
      if constexpr (with_sums) {
        sums[c] += value;
      }
      x[i] = static_cast<scalar_t>(value);
    }
  }
}

// What a tail works on: its map, what is added to it, and what multiplies and shifts each channel.
template <typename scalar_t>
struct Tail {
  using acc_t = at::opmath_type<scalar_t>;

  const Map& map;
  scalar_t* x;
  const scalar_t* shortcut;  // x itself where there is none, and then it is not read
  PerChannel<acc_t> gates, biases, shortcut_gates;
  acc_t* means;
};

template <typename scalar_t, bool with_shortcut>
void finish_run_of_all(const Tail<scalar_t>& tail) {
  at::parallel_for(0, tail.map.values.numel(), kPiece, [&](int64_t begin, int64_t end) {
    finish_run<scalar_t, with_shortcut, false>(
        tail.x + begin, tail.shortcut + begin, end - begin, 1, 0, 1);
  });
}

template <typename scalar_t, bool with_shortcut, bool with_means>
void finish_planes(const Tail<scalar_t>& tail) {
  const Map& map = tail.map;
  at::parallel_for(0, map.batch * map.channels, grain(map.area), [&](int64_t begin, int64_t end) {
    int64_t image = begin / map.channels, channel = begin % map.channels;
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t from = plane * map.area;
      const auto sum = finish_run<scalar_t, with_shortcut, with_means>(
          tail.x + from, tail.shortcut + from, map.area, tail.gates.of(image)[channel],
          tail.biases.of(image)[channel], tail.shortcut_gates.of(image)[channel]);
      if constexpr (with_means) {
        tail.means[plane] = sum / static_cast<at::opmath_type<scalar_t>>(map.area);
      }
      if (++channel == map.channels) {
        channel = 0;
        ++image;
      }
    }
  });
}

template <typename scalar_t, bool with_shortcut, bool with_means, bool full>
void finish_all_pixels(const Tail<scalar_t>& tail) {
  using acc_t = at::opmath_type<scalar_t>;
  const Map& map = tail.map;
  const auto visit = [&](int64_t image, int64_t first, int64_t last, acc_t* sums) {
    int64_t from = (image * map.area + first) * map.channels;
    in_groups<scalar_t>(map.channels, first, last, [&](auto pixels) {
      finish_pixels<scalar_t, with_shortcut, with_means, full, true, pixels>(
          tail.x + from, tail.shortcut + from, map.channels, map.channels, tail.gates.of(image),
          tail.biases.of(image), tail.shortcut_gates.of(image), sums);
      from += pixels * map.channels;
    });
  };
  if constexpr (with_means) {
    mean_over_pixels<acc_t>(map, tail.means, visit);
  } else {
    at::parallel_for(0, map.batch * map.area, grain(map.channels), [&](int64_t begin, int64_t end) {
      while (begin < end) {  // image by image
        const int64_t image = begin / map.area, first = begin % map.area;
        const int64_t last = std::min(map.area, first + end - begin);
        visit(image, first, last, nullptr);
        begin += last - first;
      }
    });
  }
}

// Values of a shortcut that shares memory with x would be read after they were written over.
void check_apart(const Tensor& x, const Tensor& shortcut) {
  const auto apart = std::abs(static_cast<const char*>(x.const_data_ptr()) -
                              static_cast<const char*>(shortcut.const_data_ptr()));
  const bool dense = x.is_non_overlapping_and_dense() && shortcut.is_non_overlapping_and_dense();
  TORCH_CHECK(static_cast<size_t>(apart) >= x.nbytes() || (apart > 0 && !dense),
              "shortcut must not overlap with x, which is written over");
}

void finish(
    const Tensor& x, const OptionalTensor& shortcut, const OptionalTensor& gate,
    const OptionalTensor& bias, const OptionalTensor& shortcut_gate, Tensor* means) {
  const Map map = map_of(x);
  TORCH_CHECK(shortcut || !shortcut_gate, "shortcut_gate must come with a shortcut");
  if (shortcut) {
    check_apart(x, *shortcut);
  }
  // As torch's own operators in place do, so that autograd sees what it has kept being written over.
  x.unsafeGetTensorImpl()->bump_version();
  const Tensor other = shortcut ? like(map, *shortcut, "shortcut") : map.values;
  if (means) {
    *means = empty_means(map);
  }
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, x.scalar_type(), "tail", [&] {
    using acc_t = at::opmath_type<scalar_t>;
    const Tail<scalar_t> tail{
        map, map.values.mutable_data_ptr<scalar_t>(), other.const_data_ptr<scalar_t>(),
        per_channel<acc_t>(gate, map, true, 1, "gate"),
        per_channel<acc_t>(bias, map, false, 0, "bias"),
        per_channel<acc_t>(shortcut_gate, map, true, 1, "shortcut_gate"),
        means ? means->mutable_data_ptr<acc_t>() : nullptr};
    decided(shortcut.has_value(), [&](auto with_shortcut) {
      if (!means && !gate && !bias && !shortcut_gate) {
        // No channel differs from another: the map is one run, in whatever layout.
        finish_run_of_all<scalar_t, with_shortcut>(tail);
        return;
      }
      decided(means != nullptr, [&](auto with_means) {
        if (map.layout == Layout::planes) {
          finish_planes<scalar_t, with_shortcut, with_means>(tail);
          return;
        }
        decided(bias || shortcut_gate, [&](auto full) {
          finish_all_pixels<scalar_t, with_shortcut, with_means, full>(tail);
        });
      });
    });
  });
  if (!map.values.is_same(x)) {  // x was neither planes nor pixels, and a copy was worked on
    x.copy_(map.values);
  }
}

void tail_(
    const Tensor& x, const OptionalTensor& shortcut, const OptionalTensor& gate,
    const OptionalTensor& bias, const OptionalTensor& shortcut_gate) {
  finish(x, shortcut, gate, bias, shortcut_gate, nullptr);
}

Tensor tail_squeeze_(
    const Tensor& x, const OptionalTensor& shortcut, const OptionalTensor& gate,
    const OptionalTensor& bias, const OptionalTensor& shortcut_gate) {
  Tensor means;
  finish(x, shortcut, gate, bias, shortcut_gate, &means);
  return means;
}

}  // namespace

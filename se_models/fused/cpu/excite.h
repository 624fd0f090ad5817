// From means to gates: two fully connected layers, of all images at once.

#pragma once

#include <ATen/Dispatch.h>

#include <cmath>

#include "lanes.h"
#include "map.h"
#include "pieces.h"

namespace {

// Weights come from far away, and are soon through: so the rows to come are asked for ahead.
inline void fetch_ahead(const void* from) { __builtin_prefetch(from, 0, 2); }

// Some rows of a weight times some images' values, all at once: what is loaded serves several sums,
// none of which waits for another. Each is the same sum whatever it is taken with.
template <typename scalar_t, int64_t rows, int64_t images, typename Put>
void multiply(
    const scalar_t* weight, const at::opmath_type<scalar_t>* values, int64_t in, const Put& put) {
  using L = Lanes<scalar_t>;
  auto sums = zeros<scalar_t>(std::make_index_sequence<rows * images>());
  int64_t i = 0;
  for (; i + L::size <= in; i += L::size) {
    L loaded[images];
    for (int64_t n = 0; n < images; ++n) {
      loaded[n] = L::load_wide(values + n * in + i);
    }
    for (int64_t r = 0; r < rows; ++r) {
      fetch_ahead(weight + (rows + r) * in + i);
      const L factor = L::load(weight + r * in + i);
      for (int64_t n = 0; n < images; ++n) {
        sums[r * images + n] = fused(factor, loaded[n], sums[r * images + n]);
      }
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t n = 0; n < images; ++n) {
      auto sum = sums[r * images + n].sum();
      for (int64_t left = i; left < in; ++left) {
        sum += static_cast<typename L::acc_t>(weight[r * in + left]) * values[n * in + left];
      }
      put(r, n, sum);
    }
  }
}

// The hidden units of all images: rectified, (B, units), of values (B, in), by weights (units, in).
template <typename scalar_t>
void hide(
    const Tensor& weight, const OptionalTensor& bias, const at::opmath_type<scalar_t>* values,
    int64_t batch, at::opmath_type<scalar_t>* hidden) {
  using acc_t = at::opmath_type<scalar_t>;
  constexpr int64_t rows = 4, images = 2;
  const int64_t units = weight.size(0), in = weight.size(1);
  const scalar_t* const weights = weight.const_data_ptr<scalar_t>();
  const scalar_t* const biases = bias ? bias->const_data_ptr<scalar_t>() : nullptr;
  at::parallel_for(0, pieces_of(units, rows), grain(rows * in * batch), [&](int64_t begin, int64_t end) {
    int64_t row = begin * rows, image = 0;
    const auto put = [&](int64_t r, int64_t n, acc_t sum) {
      const acc_t start = biases ? static_cast<acc_t>(biases[row + r]) : acc_t(0);
      hidden[(image + n) * units + row + r] = rectified(start + sum);
    };
    for (; row + rows <= std::min(end * rows, units); row += rows) {
      for (image = 0; image + images <= batch; image += images) {
        multiply<scalar_t, rows, images>(weights + row * in, values + image * in, in, put);
      }
      for (; image < batch; ++image) {
        multiply<scalar_t, rows, 1>(weights + row * in, values + image * in, in, put);
      }
    }
    for (; row < std::min(end * rows, units); ++row) {
      for (image = 0; image < batch; ++image) {
        multiply<scalar_t, 1, 1>(weights + row * in, values + image * in, in, put);
      }
    }
  });
}

// Adds what some units give to each gate; from one unit's weights to the next it is ``pitch`` values.
template <typename scalar_t, int64_t units>
void add_units(
    const scalar_t* weight, int64_t pitch, const at::opmath_type<scalar_t>* hidden, int64_t gates,
    at::opmath_type<scalar_t>* sums) {
  using L = Lanes<scalar_t>;
  int64_t c = 0;
  for (; c + L::size <= gates; c += L::size) {
    L sum = L::load_wide(sums + c);
    for (int64_t u = 0; u < units; ++u) {
      fetch_ahead(weight + (units + u) * pitch + c);
      sum = fused(L::load(weight + u * pitch + c), L::filled(hidden[u]), sum);
    }
    sum.store_wide(sums + c);
  }
  for (; c < gates; ++c) {
    for (int64_t u = 0; u < units; ++u) {
      sums[c] += static_cast<typename L::acc_t>(weight[u * pitch + c]) * hidden[u];
    }
  }
}

// The sigmoids of some sums, times a factor each if there are factors.
template <typename acc_t>
void close_gates(acc_t* sums, const acc_t* factors, int64_t count) {
  using Vec = Vectorized<acc_t>;
  const Vec one(1);
  int64_t c = 0;
  for (; c + Vec::size() <= count; c += Vec::size()) {
    const Vec gate = one / (one + Vec::loadu(sums + c).neg().exp());
    (factors ? gate * Vec::loadu(factors + c) : gate).store(sums + c);
  }
  for (; c < count; ++c) {
    const acc_t gate = 1 / (1 + std::exp(-sums[c]));
    sums[c] = factors ? gate * factors[c] : gate;
  }
}

// From hidden units to gates (B, gates), by weights that lie unit by unit, (units, gates).
template <typename scalar_t>
void open_gates(
    const Tensor& weight, const OptionalTensor& bias, const at::opmath_type<scalar_t>* hidden,
    int64_t batch, const at::opmath_type<scalar_t>* factors, at::opmath_type<scalar_t>* gate) {
  constexpr int64_t several = 4, side_by_side = 64;
  const int64_t units = weight.size(0), gates = weight.size(1);
  const scalar_t* const weights = weight.const_data_ptr<scalar_t>();
  const scalar_t* const biases = bias ? bias->const_data_ptr<scalar_t>() : nullptr;
  at::parallel_for(
      0, pieces_of(gates, side_by_side), grain(side_by_side * units * batch),
      [&](int64_t begin, int64_t end) {
        const int64_t first = begin * side_by_side;
        const int64_t count = std::min(end * side_by_side, gates) - first;
        for (int64_t image = 0; image < batch; ++image) {
          for (int64_t c = first; c < first + count; ++c) {
            gate[image * gates + c] = biases ? biases[c] : scalar_t(0);
          }
        }
        int64_t unit = 0;
        for (; unit + several <= units; unit += several) {
          for (int64_t image = 0; image < batch; ++image) {
            add_units<scalar_t, several>(
                weights + unit * gates + first, gates, hidden + image * units + unit, count,
                gate + image * gates + first);
          }
        }
        for (; unit < units; ++unit) {
          for (int64_t image = 0; image < batch; ++image) {
            add_units<scalar_t, 1>(
                weights + unit * gates + first, gates, hidden + image * units + unit, count,
                gate + image * gates + first);
          }
        }
        for (int64_t image = 0; image < batch; ++image) {
          close_gates(gate + image * gates + first, factors ? factors + first : nullptr, count);
        }
      });
}

void check_layer(
    const Tensor& weight, const OptionalTensor& bias, int64_t inputs, at::ScalarType type,
    const char* name) {
  TORCH_CHECK(weight.dim() == 2 && weight.size(1) == inputs, "weight of ", name,
              " must have the shape (outputs, ", inputs, "), got ", weight.sizes());
  TORCH_CHECK(!bias || (bias->dim() == 1 && bias->size(0) == weight.size(0)), "bias of ", name,
              " must be one value for each of ", weight.size(0), " outputs");
  TORCH_CHECK(weight.scalar_type() == type && (!bias || bias->scalar_type() == type), "weights of ",
              name, " must all be of one type");
}

OptionalTensor dense(const OptionalTensor& given) {
  return given ? OptionalTensor(given->contiguous()) : std::nullopt;
}

Tensor excite(
    const Tensor& squeezed, const Tensor& weight1, const OptionalTensor& bias1,
    const Tensor& weight2, const OptionalTensor& bias2, const OptionalTensor& factor) {
  TORCH_CHECK(squeezed.dim() == 2, "squeezed must have the shape (B, C), got ", squeezed.sizes());
  const int64_t batch = squeezed.size(0), gates = weight2.size(0);
  const auto type = weight1.scalar_type();
  check_layer(weight1, bias1, squeezed.size(1), type, "the first layer");
  TORCH_CHECK(weight1.size(0) > 0, "weight1 must have at least one hidden unit, got 0");
  check_layer(weight2, bias2, weight1.size(0), type, "the second layer");
  TORCH_CHECK(squeezed.scalar_type() == at::toOpMathType(type), "squeezed must be of ",
              at::toOpMathType(type), ", got ", squeezed.scalar_type());
  TORCH_CHECK(!factor || (factor->sizes() == at::IntArrayRef{gates} &&
                          factor->scalar_type() == squeezed.scalar_type()),
              "factor must be a value of ", squeezed.scalar_type(), " for each gate");
  const Tensor from = squeezed.contiguous();
  const Tensor first = weight1.contiguous(), second = weight2.t().contiguous();
  const OptionalTensor first_bias = dense(bias1), second_bias = dense(bias2), kept = dense(factor);
  Tensor gate = at::empty({batch, gates}, squeezed.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, type, "excite", [&] {
    using acc_t = at::opmath_type<scalar_t>;
    std::vector<acc_t> hidden(batch * first.size(0));
    hide<scalar_t>(first, first_bias, from.const_data_ptr<acc_t>(), batch, hidden.data());
    open_gates<scalar_t>(second, second_bias, hidden.data(), batch,
                         kept ? kept->const_data_ptr<acc_t>() : nullptr,
                         gate.mutable_data_ptr<acc_t>());
  });
  return gate;
}

}  // namespace

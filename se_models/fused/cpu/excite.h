// From means to gates: two fully connected layers, of all images at once.

#pragma once

#include <ATen/Dispatch.h>

#include <cmath>

#include "lanes.h"
#include "map.h"
#include "pieces.h"

namespace {

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

// A fully connected layer of all images: outputs (B, out), weight (out, in), values (B, in).
template <typename scalar_t, typename Finish>
void connect(
    const Tensor& weight, const OptionalTensor& bias, const at::opmath_type<scalar_t>* values,
    int64_t batch, at::opmath_type<scalar_t>* outputs, const Finish& finish) {
  using acc_t = at::opmath_type<scalar_t>;
  constexpr int64_t rows = 4, images = 2;
  const int64_t out = weight.size(0), in = weight.size(1);
  const scalar_t* const weights = weight.const_data_ptr<scalar_t>();
  const scalar_t* const biases = bias ? bias->const_data_ptr<scalar_t>() : nullptr;
  at::parallel_for(0, (out + rows - 1) / rows, grain(rows * in * batch), [&](int64_t begin, int64_t end) {
    int64_t row = begin * rows, image = 0;
    const auto put = [&](int64_t r, int64_t n, acc_t sum) {
      const acc_t start = biases ? static_cast<acc_t>(biases[row + r]) : acc_t(0);
      outputs[(image + n) * out + row + r] = finish(start + sum, row + r);
    };
    for (; row + rows <= std::min(end * rows, out); row += rows) {
      for (image = 0; image + images <= batch; image += images) {
        multiply<scalar_t, rows, images>(weights + row * in, values + image * in, in, put);
      }
      for (; image < batch; ++image) {
        multiply<scalar_t, rows, 1>(weights + row * in, values + image * in, in, put);
      }
    }
    for (; row < std::min(end * rows, out); ++row) {
      for (image = 0; image < batch; ++image) {
        multiply<scalar_t, 1, 1>(weights + row * in, values + image * in, in, put);
      }
    }
  });
}

void check_layer(
    const Tensor& weight, const OptionalTensor& bias, int64_t inputs, at::ScalarType type,
    const char* name) {
  TORCH_CHECK(weight.dim() == 2 && weight.size(1) == inputs, "weight of ", name,
              " must have the shape (outputs, ", inputs, "), got ", weight.sizes());
  TORCH_CHECK(!bias || (bias->dim() == 1 && bias->size(0) == weight.size(0) &&
                        bias->is_contiguous()),
              "bias of ", name, " must be dense, one value for each of ", weight.size(0),
              " outputs");
  TORCH_CHECK(weight.scalar_type() == type && (!bias || bias->scalar_type() == type), "weights of ",
              name, " must all be of one type");
}

Tensor excite(
    const Tensor& squeezed, const Tensor& weight1, const OptionalTensor& bias1,
    const Tensor& weight2, const OptionalTensor& bias2, const OptionalTensor& factor) {
  TORCH_CHECK(squeezed.dim() == 2, "squeezed must have the shape (B, C), got ", squeezed.sizes());
  const int64_t batch = squeezed.size(0), gates = weight2.size(0);
  const auto type = weight1.scalar_type();
  check_layer(weight1, bias1, squeezed.size(1), type, "the first layer");
  check_layer(weight2, bias2, weight1.size(0), type, "the second layer");
  TORCH_CHECK(squeezed.scalar_type() == at::toOpMathType(type), "squeezed must be of ",
              at::toOpMathType(type), ", got ", squeezed.scalar_type());
  TORCH_CHECK(!factor || (factor->sizes() == at::IntArrayRef{gates} &&
                          factor->scalar_type() == squeezed.scalar_type()),
              "factor must be a value of ", squeezed.scalar_type(), " for each gate");
  const Tensor from = squeezed.contiguous();
  const Tensor first = weight1.contiguous(), second = weight2.contiguous();
  Tensor gate = at::empty({batch, gates}, squeezed.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, type, "excite", [&] {
    using acc_t = at::opmath_type<scalar_t>;
    std::vector<acc_t> hidden(batch * first.size(0));
    connect<scalar_t>(first, bias1, from.const_data_ptr<acc_t>(), batch, hidden.data(),
                      [](acc_t value, int64_t) { return rectified(value); });
    const Tensor kept = factor ? factor->contiguous() : Tensor();
    const acc_t* const factors = factor ? kept.const_data_ptr<acc_t>() : nullptr;
    connect<scalar_t>(second, bias2, hidden.data(), batch, gate.mutable_data_ptr<acc_t>(),
                      [&](acc_t value, int64_t channel) {
                        const acc_t weight = 1 / (1 + std::exp(-value));
                        return factors ? weight * factors[channel] : weight;
                      });
  });
  return gate;
}

}  // namespace

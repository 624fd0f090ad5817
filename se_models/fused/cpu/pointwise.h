// A 1x1 convolution with what stands around it in a block: the gate ahead of it, the tail behind it.
//
// It is a product of matrices, pixels by weights. What stands around it is done to a few pixels at a
// time, while a core's cache holds them, and so takes no passes over the maps. The product itself
// is torch's, by code that oneDNN generates for its sizes ("brgemm") and keeps, for each thread, as
// long as the process lives.

#pragma once

#include <ATen/native/CPUBlas.h>

#include <memory>
#include <tuple>

#include "map.h"
#include "pieces.h"
#include "scale.h"
#include "tail.h"

#if defined(CPUBLAS_BRGEMM_F32F32F32) && !defined(CPU_CAPABILITY_DEFAULT)
#define SE_MODELS_POINTWISE

namespace {

struct Pointwise {
  Map x;
  int64_t width, stride;  // of x, in pixels; and which of its rows and columns are taken
  bool gated;
  PerChannel<float> x_gates;
  int64_t columns;  // of y
  const float* weight;
  int64_t blocks, block;  // of outputs, which lie side by side for each input
  Tail<float> tail;  // of y
};

// Pixels that are multiplied at once: enough to be worth reading all weights for, and few enough to
// stay in a core's cache with all their channels. A few threads have equally many such pieces.
int64_t pixels_at_once(int64_t area) {
  constexpr int64_t kMost = 64, kShares = 4;
  const int64_t pieces = pieces_of(area, kMost);
  return pieces_of(area, pieces == 1 ? 1 : pieces_of(pieces, kShares) * kShares);
}

// The pixels of x that make those of y from ``first`` to ``last``, gated, one behind the other.
void gather(const Pointwise& of, int64_t image, int64_t first, int64_t last, float* to) {
  for (int64_t pixel = first; pixel < last; ++pixel) {
    const int64_t source = image * of.x.area +
        (pixel / of.columns * of.width + pixel % of.columns) * of.stride;
    const float* const from = of.x.values.const_data_ptr<float>() + source * of.x.channels;
    scale_pixel<float>(from, to, of.x.channels, of.x_gates.of(image));
    to += of.x.channels;
  }
}

// Some blocks of weights, each of whose inputs takes its gate.
void gate_weights(
    const float* weights, int64_t blocks, int64_t in, int64_t block, const float* gates, float* to) {
  using L = Lanes<float>;
  for (int64_t row = 0; row < blocks * in; ++row) {
    const float gate = gates[row % in];
    int64_t c = 0;
    for (; c + L::size <= block; c += L::size) {
      times(L::load(weights + row * block + c), L::filled(gate)).store(to + row * block + c);
    }
    for (; c < block; ++c) {
      to[row * block + c] = weights[row * block + c] * gate;
    }
  }
}

template <bool with_shortcut, bool with_sums, bool relu>
void convolve(const Pointwise& of, int64_t step, int64_t pieces, float* sums) {
  const Tail<float>& tail = of.tail;
  const int64_t in = of.x.channels, out = tail.map.channels, area = tail.map.area;
  const int64_t tasks = tail.map.batch * pieces;
  if (tasks == 0) {
    return;
  }
  // Gates go where there are fewer values to multiply, though each thread has to for itself.
  constexpr int64_t kThreads = 4;
  const bool gates_weights = of.gated && of.stride == 1 && kThreads * out < area;
  const bool gathers = of.stride > 1 || (of.gated && !gates_weights);
  // Where there are fewer pieces than threads can share, each is cut by its outputs too, none of
  // which depends on another.
  const int64_t parts = std::min(of.blocks, pieces_of(2 * at::get_num_threads(), tasks));
  at::parallel_for(0, tasks * parts, 1, [&](int64_t begin, int64_t end) {
    const std::unique_ptr<float[]> gathered(gathers ? new float[step * in] : nullptr);
    const std::unique_ptr<float[]> gated(gates_weights ? new float[in * out] : nullptr);
    int64_t held = -1, gated_image = -1;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t piece = task / parts, part = task % parts, image = piece / pieces;
      const int64_t first = piece % pieces * step, last = std::min(first + step, area);
      const float* pixels = of.x.values.const_data_ptr<float>() + (image * area + first) * in;
      if (gathers) {
        if (held != piece) {
          gather(of, image, first, last, gathered.get());
          held = piece;
        }
        pixels = gathered.get();
      }
      const float* weights = of.weight;
      if (gates_weights) {
        if (gated_image != image) {
          gate_weights(of.weight, of.blocks, in, of.block, of.x_gates.of(image), gated.get());
          gated_image = image;
        }
        weights = gated.get();
      }
      const int64_t from = part * of.blocks / parts, to = (part + 1) * of.blocks / parts;
      const int64_t channel = from * of.block, channels = (to - from) * of.block;
      int64_t at = (image * area + first) * out + channel;
      for (int64_t block = from; block < to; ++block) {
        at::native::cpublas::brgemm(
            last - first, of.block, in, in, of.block, out, false, pixels,
            weights + block * in * of.block, tail.x + at + (block - from) * of.block, false);
      }
      float* const own = with_sums ? sums + piece * out + channel : nullptr;
      if constexpr (with_sums) {
        std::fill(own, own + channels, 0.0f);
      }
      in_groups<float>(channels, first, last, [&](auto count) {
        finish_pixels<float, with_shortcut, with_sums, true, relu, count>(
            tail.x + at, tail.shortcut + at, channels, out, tail.gates.of(image) + channel,
            tail.biases.of(image) + channel, tail.shortcut_gates.of(image) + channel, own);
        at += count * out;
      });
    }
  });
}

// What is added to a product that was multiplied by gate already: bias * gate + shift.
std::vector<float> joined(
    const Map& y, const PerChannel<float>& bias, const PerChannel<float>& gate,
    const PerChannel<float>& shift) {
  std::vector<float> made(y.batch * y.channels);
  for (int64_t image = 0; image < y.batch; ++image) {
    for (int64_t c = 0; c < y.channels; ++c) {
      made[image * y.channels + c] = bias.data[c] * gate.of(image)[c] + shift.data[c];
    }
  }
  return made;
}

Tensor run_pointwise(
    const Tensor& x, const Tensor& weight, const OptionalTensor& bias, const OptionalTensor& x_gate,
    int64_t stride, const OptionalTensor& shortcut, const OptionalTensor& gate,
    const OptionalTensor& shift, const OptionalTensor& shortcut_gate, bool relu, Tensor* means) {
  TORCH_CHECK(stride >= 1, "stride must be a positive integer, got ", stride);
  TORCH_CHECK(shortcut || !shortcut_gate, "shortcut_gate must come with a shortcut");
  const Map from = pixels_of(x);
  TORCH_CHECK(weight.dim() == 3 && weight.size(1) == from.channels,
              "weight must have the shape (blocks, ", from.channels, ", outputs of a block), got ",
              weight.sizes());
  TORCH_CHECK(x.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat,
              "x and weight must be of Float, got ", x.scalar_type(), " and ",
              weight.scalar_type());
  const int64_t rows = pieces_of(x.size(2), stride), columns = pieces_of(x.size(3), stride);
  const Tensor weights = weight.contiguous();
  Tensor y = at::empty({from.batch, weight.size(0) * weight.size(2), rows, columns}, x.options(),
                       at::MemoryFormat::ChannelsLast);
  const Map map = pixels_of(y);
  const Tensor other = shortcut ? like(map, *shortcut, "shortcut") : y;
  if (means) {
    *means = empty_means(map);
  }
  PerChannel<float> gates = per_channel<float>(gate, map, true, 1, "gate");
  PerChannel<float> biases;
  biases.absent = joined(map, per_channel<float>(bias, map, false, 0, "bias"), gates,
                         per_channel<float>(shift, map, false, 0, "shift"));
  biases.data = biases.absent.data();
  biases.per_image = map.channels;
  const Pointwise all{
      from, x.size(3), stride, x_gate.has_value(),
      per_channel<float>(x_gate, from, true, 1, "x_gate"), columns,
      weights.const_data_ptr<float>(), weight.size(0), weight.size(2),
      Tail<float>{map, y.mutable_data_ptr<float>(), other.const_data_ptr<float>(),
                  std::move(gates), std::move(biases),
                  per_channel<float>(shortcut_gate, map, true, 1, "shortcut_gate"),
                  means ? means->mutable_data_ptr<float>() : nullptr}};
  const int64_t step = pixels_at_once(map.area), pieces = pieces_of(map.area, step);
  const Tensor sums = means ? empty_sums<float>(map, pieces) : Tensor();
  float* const kept = means ? sums.mutable_data_ptr<float>() : nullptr;
  decided(shortcut.has_value(), [&](auto with_shortcut) {
    decided(means != nullptr, [&](auto with_sums) {
      decided(relu, [&](auto rectifies) {
        convolve<with_shortcut, with_sums, rectifies>(all, step, pieces, kept);
      });
    });
  });
  if (means) {
    add_up<float>(map, pieces, kept, all.tail.means);
  }
  return y;
}

Tensor pointwise(
    const Tensor& x, const Tensor& weight, const OptionalTensor& bias, const OptionalTensor& x_gate,
    int64_t stride, const OptionalTensor& shortcut, const OptionalTensor& gate,
    const OptionalTensor& shift, const OptionalTensor& shortcut_gate, bool relu) {
  return run_pointwise(
      x, weight, bias, x_gate, stride, shortcut, gate, shift, shortcut_gate, relu, nullptr);
}

std::tuple<Tensor, Tensor> pointwise_squeeze(
    const Tensor& x, const Tensor& weight, const OptionalTensor& bias, const OptionalTensor& x_gate,
    int64_t stride, const OptionalTensor& shortcut, const OptionalTensor& gate,
    const OptionalTensor& shift, const OptionalTensor& shortcut_gate, bool relu) {
  Tensor means;
  Tensor y = run_pointwise(
      x, weight, bias, x_gate, stride, shortcut, gate, shift, shortcut_gate, relu, &means);
  return {y, means};
}

}  // namespace

#endif

// Scaling ahead of a convolution, of those pixels alone that it takes.

#pragma once

#include <ATen/Dispatch.h>

#include "lanes.h"
#include "map.h"
#include "pieces.h"

namespace {

template <typename scalar_t>
void scale_plane(
    const scalar_t* x, scalar_t* y, int64_t height, int64_t width, int64_t stride,
    at::opmath_type<scalar_t> gate) {
  using L = Lanes<scalar_t>;
  if (stride == 1) {
    const L gates = L::filled(gate);
    int64_t i = 0;
    for (; i + L::size <= height * width; i += L::size) {
      times(L::load(x + i), gates).store(y + i);
    }
    for (; i < height * width; ++i) {
      y[i] = static_cast<scalar_t>(static_cast<typename L::acc_t>(x[i]) * gate);
    }
    return;
  }
  for (int64_t row = 0; row < height; row += stride) {
    for (int64_t column = 0; column < width; column += stride) {
      *y++ = static_cast<scalar_t>(
          static_cast<typename L::acc_t>(x[row * width + column]) * gate);
    }
  }
}

template <typename scalar_t>
void scale_pixel(
    const scalar_t* x, scalar_t* y, int64_t channels, const at::opmath_type<scalar_t>* gate) {
  using L = Lanes<scalar_t>;
  int64_t c = 0;
  for (; c + L::size <= channels; c += L::size) {
    times(L::load(x + c), L::load_wide(gate + c)).store(y + c);
  }
  for (; c < channels; ++c) {
    y[c] = static_cast<scalar_t>(static_cast<typename L::acc_t>(x[c]) * gate[c]);
  }
}

Tensor scale(const Tensor& x, const Tensor& gate, int64_t stride) {
  TORCH_CHECK(stride >= 1, "stride must be a positive integer, got ", stride);
  const Map map = map_of(x);
  const int64_t height = x.size(2), width = x.size(3);
  const int64_t rows = (height + stride - 1) / stride, columns = (width + stride - 1) / stride;
  Tensor y = at::empty({map.batch, map.channels, rows, columns}, x.options(), map.format);
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, x.scalar_type(), "scale", [&] {
    using acc_t = at::opmath_type<scalar_t>;
    const auto gates = per_channel<acc_t>(gate, map, true, 1, "gate");
    const scalar_t* const from = map.values.const_data_ptr<scalar_t>();
    scalar_t* const to = y.mutable_data_ptr<scalar_t>();
    if (map.layout == Layout::planes) {
      at::parallel_for(
          0, map.batch * map.channels, grain(map.area), [&](int64_t begin, int64_t end) {
            for (int64_t plane = begin; plane < end; ++plane) {
              scale_plane<scalar_t>(from + plane * map.area, to + plane * rows * columns, height,
                                    width, stride, gates.data[plane]);
            }
          });
      return;
    }
    at::parallel_for(
        0, map.batch * rows * columns, grain(map.channels), [&](int64_t begin, int64_t end) {
          for (int64_t pixel = begin; pixel < end; ++pixel) {
            const int64_t image = pixel / (rows * columns), place = pixel % (rows * columns);
            const int64_t source =
                (place / columns) * stride * width + (place % columns) * stride;
            scale_pixel<scalar_t>(from + (image * map.area + source) * map.channels,
                                  to + pixel * map.channels, map.channels, gates.of(image));
          }
        });
  });
  return y;
}

}  // namespace

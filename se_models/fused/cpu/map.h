// A feature map as its kernels see it: where it lies, and what there is for each of its channels.

#pragma once

#include <ATen/OpMathType.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <optional>
#include <vector>

namespace {

using at::Tensor;
using OptionalTensor = std::optional<Tensor>;

enum class Layout { planes, pixels };

struct Map {
  Tensor values;  // dense, in this format
  at::MemoryFormat format;
  Layout layout;
  int64_t batch, channels, area;
};

Map map_of(const Tensor& x) {
  TORCH_CHECK(x.dim() == 4, "x must have the shape (B, C, H, W), got ", x.sizes());
  const int64_t area = x.size(2) * x.size(3);
  TORCH_CHECK(x.size(1) > 0 && area > 0, "x must have channels and pixels, got ", x.sizes());
  const auto format = !x.is_contiguous() && x.is_contiguous(at::MemoryFormat::ChannelsLast)
      ? at::MemoryFormat::ChannelsLast
      : at::MemoryFormat::Contiguous;
  // Of one pixel both layouts are the same, and only as pixels there is anything to vectorise.
  const bool pixels = area == 1 || format == at::MemoryFormat::ChannelsLast;
  return {x.contiguous(format), format, pixels ? Layout::pixels : Layout::planes,
          x.size(0), x.size(1), area};
}

// The same as pixels, whatever it is given as.
Map pixels_of(const Tensor& x) {
  Map map = map_of(x);
  map.values = x.contiguous(at::MemoryFormat::ChannelsLast);
  map.format = at::MemoryFormat::ChannelsLast;
  map.layout = Layout::pixels;
  return map;
}

// Another map in the layout of the first.
Tensor like(const Map& map, const Tensor& other, const char* name) {
  TORCH_CHECK(other.sizes() == map.values.sizes() && other.dtype() == map.values.dtype(), name,
              " must be like x, ", map.values.sizes(), " of ", map.values.dtype(), ", got ",
              other.sizes(), " of ", other.dtype());
  return other.contiguous(map.format);
}

// Values for each channel, of each image or the same for all.
template <typename acc_t>
struct PerChannel {
  Tensor given;
  std::vector<acc_t> absent;  // what stands in for what is not given, so that no loop has to ask
  const acc_t* data;
  int64_t per_image;  // the distance from one image's values to the next one's

  const acc_t* of(int64_t image) const { return data + image * per_image; }
};

template <typename acc_t>
PerChannel<acc_t> per_channel(
    const OptionalTensor& given, const Map& map, bool each_image, acc_t otherwise,
    const char* name) {
  PerChannel<acc_t> made;
  if (!given.has_value()) {
    made.absent.assign(map.channels, otherwise);
    made.data = made.absent.data();
    made.per_image = 0;
    return made;
  }
  const auto wanted = each_image ? std::vector<int64_t>{map.batch, map.channels}
                                 : std::vector<int64_t>{map.channels};
  TORCH_CHECK(given->sizes() == at::IntArrayRef(wanted), name, " must have the shape ",
              at::IntArrayRef(wanted), ", got ", given->sizes());
  TORCH_CHECK(given->scalar_type() == c10::CppTypeToScalarType<acc_t>::value, name, " must be of ",
              c10::CppTypeToScalarType<acc_t>::value, ", got ", given->scalar_type());
  made.given = given->contiguous();
  made.data = made.given.template const_data_ptr<acc_t>();
  made.per_image = each_image ? map.channels : 0;
  return made;
}

Tensor empty_means(const Map& map) {
  const auto type = at::toOpMathType(map.values.scalar_type());
  return at::empty({map.batch, map.channels}, map.values.options().dtype(type));
}

}  // namespace

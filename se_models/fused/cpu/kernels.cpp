// The fused operators on the CPU; what each computes is said in ../operators.py.
//
// A feature map lies in memory either as planes (contiguous, NCHW: one gate for a
// run of H * W values) or as pixels (channels_last, NHWC: one gate for each of a
// run of C values). Each kernel has a loop for either, over whole vectors and then
// over the few values that are left. All arithmetic and all sums are in float, or
// in double for double. Work is cut into pieces that depend on the shape alone, so
// that results do not depend on the number of threads.

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/cpu/vec/functional.h>
#include <ATen/cpu/vec/vec.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using at::BFloat16;
using at::Tensor;
using at::vec::Vectorized;
using OptionalTensor = std::optional<Tensor>;

// Values per piece of work: enough to hide what it takes to hand a piece to a thread.
constexpr int64_t kPiece = 16384;

// ---- A feature map as its kernels see it ----

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

// ---- Vectors ----

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
std::array<Lanes<scalar_t>, sizeof...(n)> zeros(std::index_sequence<n...>) {
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

int64_t grain(int64_t values_per_step) {
  return std::max<int64_t>(1, kPiece / std::max<int64_t>(1, values_per_step));
}

// ---- Means over pixels ----

// Pixels per piece: a piece's sums fit the nearest cache, and add few enough values to be exact.
int64_t pixels_per_piece(const Map& map) {
  return std::clamp<int64_t>(kPiece / map.channels, 1, map.area);
}

// Calls visit with the number of pixels to take next, known while compiling. Where each has few
// channels, several at once share what is loaded for a channel; longer rows are read one after the
// other, or memory would be read from too many places at a time.
template <typename scalar_t, typename Visit>
void in_groups(int64_t channels, int64_t first, int64_t last, const Visit& visit) {
  constexpr std::integral_constant<int64_t, 4> several;
  constexpr std::integral_constant<int64_t, 1> one;
  constexpr int64_t kFewBytes = 512;
  if (channels * static_cast<int64_t>(sizeof(scalar_t)) <= kFewBytes) {
    for (; first + several <= last; first += several) {
      visit(several);
    }
  }
  for (; first < last; ++first) {
    visit(one);
  }
}

// For every image: visit(image, first pixel, last pixel, sums of the piece), then the means of all.
template <typename acc_t, typename Visit>
void mean_over_pixels(const Map& map, acc_t* means, const Visit& visit) {
  const int64_t step = pixels_per_piece(map);
  const int64_t pieces = (map.area + step - 1) / step;
  std::vector<acc_t> sums(map.batch * pieces * map.channels);
  at::parallel_for(0, map.batch * pieces, grain(step * map.channels), [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t first = (piece % pieces) * step;
      visit(piece / pieces, first, std::min(first + step, map.area),
            sums.data() + piece * map.channels);
    }
  });
  at::parallel_for(0, map.batch, grain(pieces * map.channels), [&](int64_t begin, int64_t end) {
    for (int64_t image = begin; image < end; ++image) {
      acc_t* const mean = means + image * map.channels;
      std::fill(mean, mean + map.channels, acc_t(0));
      for (int64_t piece = image * pieces; piece < (image + 1) * pieces; ++piece) {
        for (int64_t c = 0; c < map.channels; ++c) {
          mean[c] += sums[piece * map.channels + c];
        }
      }
      for (int64_t c = 0; c < map.channels; ++c) {
        mean[c] /= static_cast<acc_t>(map.area);
      }
    }
  });
}

template <typename scalar_t, bool relu>
at::opmath_type<scalar_t> sum_of_plane(const scalar_t* x, int64_t area) {
  using L = Lanes<scalar_t>;
  auto sums = zeros<scalar_t>(std::make_index_sequence<kChains>());
  const auto value = [](const scalar_t* from) {
    return relu ? rectified(L::load(from)) : L::load(from);
  };
  int64_t i = 0;
  for (; i + kChains * L::size <= area; i += kChains * L::size) {
    for (int64_t n = 0; n < kChains; ++n) {
      sums[n] += value(x + i + n * L::size);
    }
  }
  for (; i + L::size <= area; i += L::size) {
    sums[0] += value(x + i);
  }
  auto sum = sum_of(sums);
  for (; i < area; ++i) {
    const auto single = static_cast<typename L::acc_t>(x[i]);
    sum += relu ? rectified(single) : single;
  }
  return sum;
}

template <typename scalar_t, bool relu, int64_t pixels>
void add_pixels(const scalar_t* x, int64_t channels, at::opmath_type<scalar_t>* sums) {
  using L = Lanes<scalar_t>;
  int64_t c = 0;
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

Tensor empty_means(const Map& map) {
  const auto type = at::toOpMathType(map.values.scalar_type());
  return at::empty({map.batch, map.channels}, map.values.options().dtype(type));
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

// ---- Excitation ----

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
  const int64_t batch = squeezed.size(0), channels = squeezed.size(1);
  const auto type = weight1.scalar_type();
  check_layer(weight1, bias1, channels, type, "the first layer");
  check_layer(weight2, bias2, weight1.size(0), type, "the second layer");
  TORCH_CHECK(weight2.size(0) == channels, "the second layer must have ", channels,
              " outputs, got ", weight2.size(0));
  TORCH_CHECK(squeezed.scalar_type() == at::toOpMathType(type), "squeezed must be of ",
              at::toOpMathType(type), ", got ", squeezed.scalar_type());
  TORCH_CHECK(!factor || (factor->sizes() == at::IntArrayRef{channels} &&
                          factor->scalar_type() == squeezed.scalar_type()),
              "factor must be a value of ", squeezed.scalar_type(), " for each channel");
  const Tensor from = squeezed.contiguous();
  const Tensor first = weight1.contiguous(), second = weight2.contiguous();
  Tensor gate = at::empty({batch, channels}, squeezed.options());
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

// ---- The tail of a block ----

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
  auto sums = zeros<scalar_t>(std::make_index_sequence<kChains>());
  int64_t i = 0;
  for (; i + kChains * L::size <= count; i += kChains * L::size) {
    for (int64_t n = 0; n < kChains; ++n) {
      const L value = finish_vector(i + n * L::size);
      if constexpr (with_sum) {
        sums[n] += value;
      }
    }
  }
  for (; i + L::size <= count; i += L::size) {
    const L value = finish_vector(i);
    if constexpr (with_sum) {
      sums[0] += value;
    }
  }
  auto sum = with_sum ? sum_of(sums) : typename L::acc_t(0);
  for (; i < count; ++i) {
    auto value = static_cast<typename L::acc_t>(x[i]) * gate + bias;
    if constexpr (with_shortcut) {
      value += static_cast<typename L::acc_t>(shortcut[i]) * shortcut_gate;
    }
    value = rectified(value);
    sum += value;
    x[i] = static_cast<scalar_t>(value);
  }
  return sum;
}

// The same of pixels, each of whose channels has its own. Without ``full`` there is neither bias nor
// shortcut_gate: that is the tail of most blocks, and loading them takes as long as the map does.
template <typename scalar_t, bool with_shortcut, bool with_sums, bool full, int64_t pixels>
void finish_pixels(
    scalar_t* x, const scalar_t* shortcut, int64_t channels, const at::opmath_type<scalar_t>* gate,
    const at::opmath_type<scalar_t>* bias, const at::opmath_type<scalar_t>* shortcut_gate,
    at::opmath_type<scalar_t>* sums) {
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
      const int64_t i = n * channels + c;
      L value = fused(L::load(x + i), gates, biases);
      if constexpr (with_shortcut) {
        value = fused(L::load(shortcut + i), shortcut_gates, value);
      }
      value = rectified(value);
      sum += value;
      value.store(x + i);
    }
    if constexpr (with_sums) {
      sum.store_wide(sums + c);
    }
  }
  for (; c < channels; ++c) {
    for (int64_t n = 0; n < pixels; ++n) {
      const int64_t i = n * channels + c;
      acc_t value = static_cast<acc_t>(x[i]) * gate[c] + (full ? bias[c] : acc_t(0));
      if constexpr (with_shortcut) {
        value += static_cast<acc_t>(shortcut[i]) * (full ? shortcut_gate[c] : acc_t(1));
      }
      value = rectified(value);
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
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t image = plane / map.channels, channel = plane % map.channels;
      const int64_t from = plane * map.area;
      const auto sum = finish_run<scalar_t, with_shortcut, with_means>(
          tail.x + from, tail.shortcut + from, map.area, tail.gates.of(image)[channel],
          tail.biases.of(image)[channel], tail.shortcut_gates.of(image)[channel]);
      if constexpr (with_means) {
        tail.means[plane] = sum / static_cast<at::opmath_type<scalar_t>>(map.area);
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
      finish_pixels<scalar_t, with_shortcut, with_means, full, pixels>(
          tail.x + from, tail.shortcut + from, map.channels, tail.gates.of(image),
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

// Calls run with a condition that is known while compiling.
template <typename Run>
void decided(bool condition, const Run& run) {
  condition ? run(std::true_type()) : run(std::false_type());
}

void finish(
    const Tensor& x, const OptionalTensor& shortcut, const OptionalTensor& gate,
    const OptionalTensor& bias, const OptionalTensor& shortcut_gate, Tensor* means) {
  const Map map = map_of(x);
  TORCH_CHECK(shortcut || !shortcut_gate, "shortcut_gate must come with a shortcut");
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

// ---- Scaling ahead of a convolution ----

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

TORCH_LIBRARY_IMPL(se_models, CPU, m) {
  m.impl("squeeze", TORCH_FN(squeeze));
  m.impl("excite", TORCH_FN(excite));
  m.impl("tail_", TORCH_FN(tail_));
  m.impl("tail_squeeze_", TORCH_FN(tail_squeeze_));
  m.impl("scale", TORCH_FN(scale));
}

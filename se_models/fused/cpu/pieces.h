// How work is cut into pieces for threads, and means are made of the sums of such pieces.
//
// Sums are of pieces that depend on the shape alone, so that results do not depend on the number of
// threads.

#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <type_traits>
#include <vector>

#include "lanes.h"
#include "map.h"

namespace {

// Values per piece of work: enough to hide what it takes to hand a piece to a thread.
constexpr int64_t kPiece = 16384;

int64_t grain(int64_t values_per_step) {
  return std::max<int64_t>(1, kPiece / std::max<int64_t>(1, values_per_step));
}

int64_t pieces_of(int64_t all, int64_t piece) { return (all + piece - 1) / piece; }

// Pixels per piece. With fewer than these the sums of all pieces would take as long to add up as the
// pixels do; with more than those float sums lose digits.
int64_t pixels_per_piece(const Map& map) {
  constexpr int64_t kFewest = 32, kMost = 512;
  const int64_t wanted = std::clamp<int64_t>(kPiece / map.channels, kFewest, kMost);
  return pieces_of(map.area, pieces_of(map.area, wanted));
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

// Values of a plane whose sums, in as many chains as there are, are added up in float: each of a
// hundred or so. With more they lose digits, as most where the map is flat.
template <int64_t lanes>
constexpr int64_t kSummed = 128 * kChains * lanes;

// Room for the sums of every channel, of each piece of each image.
template <typename acc_t>
Tensor empty_sums(const Map& map, int64_t pieces) {
  return at::empty(
      {map.batch * pieces, map.channels},
      map.values.options()
          .dtype(c10::CppTypeToScalarType<acc_t>::value)
          .memory_format(at::MemoryFormat::Contiguous));
}

// From the sums of all pieces, which it uses up, to the means of each image.
template <typename acc_t>
void add_up(const Map& map, int64_t pieces, acc_t* sums, acc_t* means) {
  constexpr int64_t kTogether = 128;  // in one sum, or that would lose digits
  at::parallel_for(0, map.batch, grain(pieces * map.channels), [&](int64_t begin, int64_t end) {
    for (int64_t image = begin; image < end; ++image) {
      acc_t* const mean = means + image * map.channels;
      std::fill(mean, mean + map.channels, acc_t(0));
      const int64_t end_of_image = (image + 1) * pieces;
      for (int64_t first = image * pieces; first < end_of_image; first += kTogether) {
        acc_t* const together = sums + first * map.channels;
        const int64_t last = std::min(first + kTogether, end_of_image);
        for (int64_t piece = first + 1; piece < last; ++piece) {
          for (int64_t c = 0; c < map.channels; ++c) {
            together[c] += sums[piece * map.channels + c];
          }
        }
        for (int64_t c = 0; c < map.channels; ++c) {
          mean[c] += together[c];
        }
      }
      for (int64_t c = 0; c < map.channels; ++c) {
        mean[c] /= static_cast<acc_t>(map.area);
      }
    }
  });
}

// For every piece: visit(image, first pixel, last pixel, sums), which adds the piece to its sums;
// then the means of all.
template <typename acc_t, typename Visit>
void mean_over_pixels(const Map& map, acc_t* means, const Visit& visit) {
  const int64_t step = pixels_per_piece(map);
  const int64_t pieces = pieces_of(map.area, step);
  const Tensor kept = empty_sums<acc_t>(map, pieces);
  acc_t* const sums = kept.mutable_data_ptr<acc_t>();
  at::parallel_for(0, map.batch * pieces, grain(step * map.channels), [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t first = (piece % pieces) * step;
      acc_t* const own = sums + piece * map.channels;
      std::fill(own, own + map.channels, acc_t(0));
      visit(piece / pieces, first, std::min(first + step, map.area), own);
    }
  });
  add_up<acc_t>(map, pieces, sums, means);
}

// Calls run with a condition that is known while compiling.
template <typename Run>
void decided(bool condition, const Run& run) {
  condition ? run(std::true_type()) : run(std::false_type());
}

}  // namespace

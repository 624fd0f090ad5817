// A kernel of tests alone, and a program that runs it: each block leaves its values in reverse
// order, by way of shared memory whose size the launch decides.

#include "emulator.h"

#include <cstdlib>

__global__ void reversed(const float* from, float* to, int count) {
  SE_DYNAMIC_SHARED(float, kept);
  const int rank = threadIdx.x, first = blockIdx.x * count;
  kept[rank] = from[first + rank];
#ifndef NO_BARRIER
  __syncthreads();
#endif
  to[first + rank] = kept[count - 1 - rank];
}

// Prints the values, one a line. Arguments: the bytes of shared memory, the schedule and its seed.
int main(int, char** arguments) {
  constexpr int kCount = 64, kBlocks = 3;
  std::vector<float> from(kCount * kBlocks), to(kCount * kBlocks);
  for (int i = 0; i < kCount * kBlocks; ++i) {
    from[i] = static_cast<float>(i);
  }
  const float* read = from.data();
  float* written = to.data();
  int count = kCount;
  void* addresses[] = {&read, &written, &count};
  const std::string& error = emulated::launch(
      [](void** given) { emulated::call(reversed, given); }, addresses, {kBlocks, 1, 1}, kCount,
      static_cast<emulated::Schedule>(std::atoi(arguments[2])),
      static_cast<unsigned>(std::strtoul(arguments[3], nullptr, 10)), std::atoi(arguments[1]));
  if (!error.empty()) {
    fprintf(stderr, "%s\n", error.c_str());
    return 1;
  }
  for (float value : to) {
    printf("%g\n", value);
  }
  return 0;
}

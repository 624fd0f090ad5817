// CUDA on the CPU, as much of it as the kernels use: the very source that ships runs in tests.
//
// Each CUDA thread is a fiber. The blocks of a grid run one after the other, and the threads of a
// block until each waits or ends; who goes first is up to the schedule. What a GPU leaves undefined
// is made to show: shared memory starts as NaN, a barrier that not all threads reach and a shuffle
// whose mask is wrong end the launch with an error. Under ThreadSanitizer fibers are threads to it,
// which only barriers, fences and atomics bring into an order. Parts: vocabulary.h (CUDA's words),
// machine.h (the state, and what sanitizers are told), fibers.h (threads), blocks.h (schedules).

#pragma once

#define SE_EMULATED

#include <cmath>
#include <string>
#include <type_traits>
#include <utility>

#include "blocks.h"
#include "vocabulary.h"

namespace emulated {

// Unpacks arguments as a driver does: the address of each, of the type that the kernel declares.
template <typename... Parameters, size_t... place>
void call(
    void (*kernel)(Parameters...), void** arguments, std::index_sequence<place...>) {
  kernel(*static_cast<std::remove_reference_t<Parameters>*>(arguments[place])...);
}

template <typename... Parameters>
void call(void (*kernel)(Parameters...), void** arguments) {
  call(kernel, arguments, std::index_sequence_for<Parameters...>());
}

// The types of a kernel's parameters in PTX's words, with commas between.
template <typename... Parameters>
std::string parameters_of(void (*)(Parameters...)) {
  std::string types;
  ((types += std::is_pointer_v<Parameters> ? ",u64" : ",u32"), ...);
  return types.substr(1);
}

}  // namespace emulated

#define threadIdx emulated::machine.thread
#define blockIdx emulated::machine.block
#define gridDim emulated::machine.grid
#define __syncthreads() emulated::barrier(__FILE__, __LINE__)
#define __threadfence() emulated::fence()
#define __shfl_xor_sync(mask, value, apart) \
  emulated::shuffle_xor(mask, value, apart, __FILE__, __LINE__)
#define atomicAdd(at, value) emulated::add(at, value)

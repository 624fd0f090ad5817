// CUDA on the CPU, as much of it as the kernels use: the very source that ships runs in tests.
//
// Each CUDA thread is a fiber. The blocks of a grid run one after the other, and the threads of a
// block until each waits or ends; who goes first is up to the schedule. What a GPU leaves undefined
// is made to show: shared memory starts as NaN, a barrier that not all threads reach and a shuffle
// whose mask is wrong end the launch with an error. Under ThreadSanitizer fibers are threads to it,
// which only barriers, fences and atomics bring into an order.

#pragma once

#define SE_EMULATED

#include <link.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
// Where the loader keeps what a thread has for itself all of them can be found and spoilt, and under
// ThreadSanitizer each block has another.
#define __shared__ static thread_local
// Shared memory whose size the launch decides. What CUDA says for it, `extern __shared__`, has no
// like on the CPU, so a kernel that wants some has to declare it by such a macro.
#define SE_DYNAMIC_SHARED(type, name) \
  type* const name = reinterpret_cast<type*>(emulated::dynamic_shared())

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

struct alignas(16) float4 {
  float x, y, z, w;
};

struct __half {
  _Float16 value;
};

struct __nv_bfloat16 {
  uint16_t bits;
};

inline float __half2float(__half half) { return static_cast<float>(half.value); }
inline __half __float2half_rn(float value) { return {static_cast<_Float16>(value)}; }

inline float __bfloat162float(__nv_bfloat16 narrow) {
  const uint32_t bits = static_cast<uint32_t>(narrow.bits) << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

inline __nv_bfloat16 __float2bfloat16_rn(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (value != value) {
    return {0x7fff};
  }
  bits += 0x7fff + ((bits >> 16) & 1);  // to the nearest, and of two to the even one
  return {static_cast<uint16_t>(bits >> 16)};
}

inline float __fdividef(float a, float b) { return a / b; }
inline int min(int a, int b) { return a < b ? a : b; }

template <typename T>
T __ldcg(const T* from) {
  return *from;
}

// What a thread of the machine does for all of them is no access of its own.
#define UNSEEN __attribute__((noinline, no_sanitize("thread")))

namespace emulated {

struct Index {
  unsigned x, y, z;
};

enum class Schedule { ascending, descending, random };
enum class State { ready, at_barrier, at_shuffle, ended };

constexpr int kThreadsOfWarp = 32;
constexpr size_t kStackBytes = 64 << 10;

struct Thread {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  State state;
  const char* file;
  int line;
  // Of the shuffle that it waits for.
  unsigned mask;
  int apart;
  float value;
  // For ThreadSanitizer.
  void* fiber = nullptr;
  bool fenced = false;
  void* last_atomic = nullptr;
  // For AddressSanitizer.
  void* fake_stack = nullptr;
};

struct Machine {
  std::vector<Thread> threads;
  ucontext_t host;
  Thread* current = nullptr;
  void (*run)(void** arguments) = nullptr;
  void** arguments = nullptr;
  Index grid{}, block{}, thread{};
  std::string error;
  char* dynamic = nullptr;  // one of those below
  size_t dynamic_bytes = 0;
  // Addresses that ThreadSanitizer orders by: a barrier of each block, and the end of all.
  char* barrier = nullptr;
  char end = 0;
  // What no other block may be given: to ThreadSanitizer a fiber that takes the place of one that
  // has ended is the same, and in order with all that it did.
  std::vector<std::unique_ptr<char[]>> retired;
  std::vector<void*> fibers;
  void* host_fiber = nullptr;
  void* host_fake_stack = nullptr;
  const void* host_stack = nullptr;
  size_t host_stack_bytes = 0;
};

inline Machine machine;

inline void tsan_release([[maybe_unused]] void* at) {
#ifdef __SANITIZE_THREAD__
  __tsan_release(at);
#endif
}

inline void tsan_acquire([[maybe_unused]] void* at) {
#ifdef __SANITIZE_THREAD__
  __tsan_acquire(at);
#endif
}

__attribute__((format(printf, 1, 2))) UNSEEN inline void fail(const char* format, ...) {
  if (!machine.error.empty()) {
    return;  // the first counts
  }
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  machine.error = text;
}

// From a thread to the host that schedules it.
UNSEEN inline void yield() {
  Thread& self = *machine.current;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(
      self.state == State::ended ? nullptr : &self.fake_stack, machine.host_stack,
      machine.host_stack_bytes);
#endif
#ifdef __SANITIZE_THREAD__
  __tsan_switch_to_fiber(machine.host_fiber, __tsan_switch_to_fiber_no_sync);
#endif
  swapcontext(&self.context, &machine.host);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(
      self.fake_stack, &machine.host_stack, &machine.host_stack_bytes);
#endif
}

UNSEEN inline void enter() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &machine.host_stack, &machine.host_stack_bytes);
#endif
  machine.run(machine.arguments);
  tsan_release(&machine.end);
  machine.current->state = State::ended;
  yield();
}

UNSEEN inline void resume(unsigned number) {
  Thread& thread = machine.threads[number];
  machine.current = &thread;
  machine.thread = {number, 0, 0};
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(
      &machine.host_fake_stack, thread.stack.get(), kStackBytes);
#endif
#ifdef __SANITIZE_THREAD__
  __tsan_switch_to_fiber(thread.fiber, __tsan_switch_to_fiber_no_sync);
#endif
  swapcontext(&machine.host, &thread.context);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(machine.host_fake_stack, nullptr, nullptr);
#endif
}

UNSEEN inline void wait(State state, const char* file, int line) {
  machine.current->state = state;
  machine.current->file = file;
  machine.current->line = line;
  yield();
}

UNSEEN inline void barrier(const char* file, int line) {
  // What others have done it brings in, and that an earlier fence has not ordered.
  machine.current->fenced = false;
  tsan_release(machine.barrier);
  wait(State::at_barrier, file, line);
  tsan_acquire(machine.barrier);
}

UNSEEN inline float shuffle_xor(unsigned mask, float value, int apart, const char* file, int line) {
  Thread& self = *machine.current;
  self.mask = mask;
  self.value = value;
  self.apart = apart;
  wait(State::at_shuffle, file, line);
  return self.value;
}

// A fence orders what comes before it ahead of an atomic that follows, with no barrier in between,
// and what comes behind it after an atomic that was earlier.
UNSEEN inline void fence() {
  Thread& self = *machine.current;
  self.fenced = true;
  if (self.last_atomic != nullptr) {
    tsan_acquire(self.last_atomic);
  }
}

UNSEEN inline int add(int* at, int value) {
  Thread& self = *machine.current;
  if (self.fenced) {
    tsan_release(at);
  }
  self.last_atomic = at;
  return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}

// The shared memory whose size the launch has decided.
UNSEEN inline char* dynamic_shared() { return machine.dynamic; }

// Lets the shuffles of a warp happen whose lanes are all there.
UNSEEN inline bool resolve_shuffles(unsigned first) {
  bool progress = false;
  auto* const lanes = &machine.threads[first];
  for (unsigned lane = 0; lane < kThreadsOfWarp; ++lane) {
    Thread& leader = lanes[lane];
    if (leader.state != State::at_shuffle) {
      continue;
    }
    if (!(leader.mask >> lane & 1)) {
      fail("%s:%d: a lane shuffles that its mask leaves out", leader.file, leader.line);
      return false;
    }
    bool complete = true;
    for (unsigned other = 0; other < kThreadsOfWarp && complete; ++other) {
      if (!(leader.mask >> other & 1)) {
        continue;
      }
      const Thread& lane_of_mask = lanes[other];
      if (lane_of_mask.state == State::ended) {
        fail("%s:%d: a lane of the mask has ended", leader.file, leader.line);
        return false;
      }
      complete = lane_of_mask.state == State::at_shuffle && lane_of_mask.mask == leader.mask &&
          lane_of_mask.line == leader.line && strcmp(lane_of_mask.file, leader.file) == 0;
    }
    if (!complete) {
      continue;
    }
    float received[kThreadsOfWarp];
    for (unsigned other = 0; other < kThreadsOfWarp; ++other) {
      if (leader.mask >> other & 1) {
        const unsigned partner = other ^ static_cast<unsigned>(lanes[other].apart);
        if (partner >= kThreadsOfWarp || !(leader.mask >> partner & 1)) {
          fail("%s:%d: a lane reads one that the mask leaves out", leader.file, leader.line);
          return false;
        }
        received[other] = lanes[partner].value;
      }
    }
    const unsigned mask = leader.mask;
    for (unsigned other = 0; other < kThreadsOfWarp; ++other) {
      if (mask >> other & 1) {
        lanes[other].value = received[other];
        lanes[other].state = State::ready;
      }
    }
    progress = true;
  }
  return progress;
}

// Opens the barrier if all threads stand at it, and says whether it did.
UNSEEN inline bool open_barrier() {
  const Thread* waiting = nullptr;
  unsigned ended = 0, at_barrier = 0;
  for (const Thread& thread : machine.threads) {
    ended += thread.state == State::ended;
    if (thread.state == State::at_barrier) {
      ++at_barrier;
      if (waiting != nullptr &&
          (waiting->line != thread.line || strcmp(waiting->file, thread.file) != 0)) {
        fail("%s:%d: divergent barrier, others stand at %s:%d", waiting->file, waiting->line,
             thread.file, thread.line);
        return false;
      }
      waiting = &thread;
    }
  }
  if (at_barrier == 0) {
    return false;
  }
  if (ended != 0) {
    fail("%s:%d: divergent barrier, %u threads have ended", waiting->file, waiting->line, ended);
    return false;
  }
  if (at_barrier < machine.threads.size()) {
    return false;
  }
  for (Thread& thread : machine.threads) {
    thread.state = State::ready;
  }
  return true;
}

// Fills the shared memory of this thread, if `info` tells of the module that this is part of.
inline int spoil_module(dl_phdr_info* info, size_t, void*) {
  const auto here = reinterpret_cast<uintptr_t>(&machine);
  bool ours = false;
  size_t bytes = 0;
  for (int number = 0; number < info->dlpi_phnum; ++number) {
    const auto& segment = info->dlpi_phdr[number];
    const uintptr_t start = info->dlpi_addr + segment.p_vaddr;
    ours |= segment.p_type == PT_LOAD && here >= start && here < start + segment.p_memsz;
    bytes += segment.p_type == PT_TLS ? segment.p_memsz : 0;
  }
  if (ours) {
    memset(info->dlpi_tls_data, 0xff, bytes);
  }
  return ours;
}

// Bytes of 0xff are NaN as floats, and no bool at all.
inline void spoil_shared_memory() {
  static thread_local volatile char touched;  // or a thread's part might not be there yet
  touched = 0;
  dl_iterate_phdr(spoil_module, nullptr);
}

UNSEEN inline void run_block(Schedule schedule, std::mt19937& random) {
#ifdef __SANITIZE_THREAD__
  machine.host_fiber = __tsan_get_current_fiber();
  machine.retired.emplace_back(new char[1]);
  machine.barrier = machine.retired.back().get();
#endif
  spoil_shared_memory();
  // An allocation of its very size, so that AddressSanitizer sees its end, and of each block's own.
  machine.retired.emplace_back(new char[machine.dynamic_bytes]);
  machine.dynamic = machine.retired.back().get();
  memset(machine.dynamic, 0xff, machine.dynamic_bytes);
  std::vector<unsigned> order(machine.threads.size());
  for (unsigned number = 0; number < order.size(); ++number) {
    Thread& thread = machine.threads[number];
    thread.state = State::ready;
    thread.fenced = false;
    thread.last_atomic = nullptr;
    thread.fake_stack = nullptr;
#ifdef __SANITIZE_THREAD__
    // Another stack for each block, or what lies on it would seem to be shared.
    machine.retired.push_back(std::move(thread.stack));
    thread.stack.reset(new char[kStackBytes]);
    thread.fiber = __tsan_create_fiber(0);
    machine.fibers.push_back(thread.fiber);
#endif
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.get();
    thread.context.uc_stack.ss_size = kStackBytes;
    thread.context.uc_link = nullptr;
    makecontext(&thread.context, enter, 0);
    order[schedule == Schedule::descending ? order.size() - 1 - number : number] = number;
  }
  bool progress = true;
  while (progress && machine.error.empty()) {
    progress = false;
    if (schedule == Schedule::random) {
      std::shuffle(order.begin(), order.end(), random);
    }
    for (unsigned number : order) {
      if (machine.threads[number].state == State::ready) {
        resume(number);
        progress = true;
      }
    }
    for (unsigned first = 0; first < order.size(); first += kThreadsOfWarp) {
      progress |= resolve_shuffles(first);
    }
    progress |= open_barrier();
  }
  for (Thread& thread : machine.threads) {
    if (thread.state != State::ended) {
      fail("%s:%d: a thread waits for others that never come", thread.file, thread.line);
    }
  }
}

// Empty, or what went wrong.
UNSEEN inline const std::string& launch(
    void (*run)(void**), void** arguments, Index grid, unsigned threads, Schedule schedule,
    unsigned seed, size_t dynamic_bytes = 0) {
  machine.run = run;
  machine.arguments = arguments;
  machine.grid = grid;
  machine.dynamic_bytes = dynamic_bytes;
  machine.error.clear();
  if (machine.threads.size() != threads) {
    machine.threads = std::vector<Thread>(threads);
  }
  std::mt19937 random(seed);
  const unsigned blocks = grid.x * grid.y;
  std::vector<unsigned> order(blocks);
  for (unsigned number = 0; number < blocks; ++number) {
    order[schedule == Schedule::descending ? blocks - 1 - number : number] = number;
  }
  if (schedule == Schedule::random) {
    std::shuffle(order.begin(), order.end(), random);
  }
  for (const unsigned block : order) {
    if (!machine.error.empty()) {
      break;
    }
    machine.block = {block % grid.x, block / grid.x, 0};
#ifdef __SANITIZE_THREAD__
    std::thread([&] { run_block(schedule, random); }).join();
#else
    run_block(schedule, random);
#endif
  }
  tsan_acquire(&machine.end);
#ifdef __SANITIZE_THREAD__
  for (void* fiber : machine.fibers) {
    __tsan_destroy_fiber(fiber);
  }
#endif
  machine.fibers.clear();
  machine.retired.clear();
  return machine.error;
}

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

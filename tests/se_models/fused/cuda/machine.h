// What the emulator knows of the block that is running, and what the sanitizers are told of it.

#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

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

// Where a thread, or the host, goes on.
struct Context {
  ucontext_t start;
  jmp_buf left;
  bool begun = false;
};

struct Thread {
  Context context;
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

// The threads of a block.
using Crew = std::vector<Thread>;

// To ThreadSanitizer a thread that does two blocks' work has done the one before the other.
// Launches do follow each other, and share their crews: it fills half a megabyte for a new thread.
#ifdef __SANITIZE_THREAD__
constexpr bool kCrewOfEachBlock = true;
#else
constexpr bool kCrewOfEachBlock = false;
#endif

struct Machine {
  std::vector<Crew> crews;
  Crew* crew = nullptr;  // of the block that runs
  Context host;
  Thread* current = nullptr;
  void (*run)(void** arguments) = nullptr;
  void** arguments = nullptr;
  Index grid{}, block{}, thread{};
  std::string error;
  char* dynamic = nullptr;  // one of those below
  size_t dynamic_bytes = 0;
  // Addresses that ThreadSanitizer orders by: each block's barrier, what its host does before the
  // block begins, and the end of all.
  char* barrier = nullptr;
  char begin = 0, end = 0;
  // What no other block of the launch may be given.
  std::vector<std::unique_ptr<char[]>> retired;
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

}  // namespace emulated

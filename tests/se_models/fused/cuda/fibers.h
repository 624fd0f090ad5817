// Threads as fibers: how they take turns with the host, and where they wait for one another.

#pragma once

#include "machine.h"

namespace emulated {

// A jump asks nothing of the operating system, as swapcontext does; sanitizers know that one alone.
UNSEEN inline void change(Context& from, Context& to) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  swapcontext(&from.start, &to.start);
#else
  from.begun = true;
  if (_setjmp(from.left) == 0) {
    if (to.begun) {
      _longjmp(to.left, 1);
    }
    setcontext(&to.start);
  }
#endif
}

// From a thread to the host that schedules it.
UNSEEN inline void yield() {
  Thread& self = *machine.current;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(
      &self.fake_stack, machine.host_stack, machine.host_stack_bytes);
#endif
#ifdef __SANITIZE_THREAD__
  __tsan_switch_to_fiber(machine.host_fiber, __tsan_switch_to_fiber_no_sync);
#endif
  change(self.context, machine.host);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(
      self.fake_stack, &machine.host_stack, &machine.host_stack_bytes);
#endif
}

// Does a thread's part of one block after the other.
UNSEEN inline void enter() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &machine.host_stack, &machine.host_stack_bytes);
#endif
  for (;;) {
    tsan_acquire(&machine.begin);
    machine.run(machine.arguments);
    tsan_release(&machine.end);
    machine.current->state = State::ended;
    yield();
  }
}

// A block's threads, none of which has begun.
UNSEEN inline Crew crew_of(unsigned threads) {
  Crew crew(threads);
  for (Thread& thread : crew) {
#ifdef __SANITIZE_THREAD__
    thread.fiber = __tsan_create_fiber(0);
#endif
    ucontext_t& start = thread.context.start;
    getcontext(&start);
    start.uc_stack.ss_sp = thread.stack.get();
    start.uc_stack.ss_size = kStackBytes;
    start.uc_link = nullptr;
    makecontext(&start, enter, 0);
  }
  return crew;
}

UNSEEN inline void dismiss() {
#ifdef __SANITIZE_THREAD__
  for (const Crew& crew : machine.crews) {
    for (const Thread& thread : crew) {
      __tsan_destroy_fiber(thread.fiber);
    }
  }
#endif
  machine.crews.clear();
}

// Sees to it that there are at least so many crews, each of so many threads.
UNSEEN inline void hire(unsigned crews, unsigned threads) {
  if (!machine.crews.empty() && machine.crews.front().size() != threads) {
    dismiss();
  }
  while (machine.crews.size() < crews) {
    machine.crews.push_back(crew_of(threads));
  }
}

UNSEEN inline void resume(unsigned number) {
  Thread& thread = (*machine.crew)[number];
  machine.current = &thread;
  machine.thread = {number, 0, 0};
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(
      &machine.host_fake_stack, thread.stack.get(), kStackBytes);
#endif
#ifdef __SANITIZE_THREAD__
  __tsan_switch_to_fiber(thread.fiber, __tsan_switch_to_fiber_no_sync);
#endif
  change(machine.host, thread.context);
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

}  // namespace emulated

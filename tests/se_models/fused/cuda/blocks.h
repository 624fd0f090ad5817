// Blocks one after the other: their shared memory, schedule, shuffles and barriers.

#pragma once

#include <link.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <thread>
#include <utility>

#include "fibers.h"

namespace emulated {

// Lets the shuffles of a warp happen whose lanes are all there.
UNSEEN inline bool resolve_shuffles(unsigned first) {
  bool progress = false;
  auto* const lanes = &(*machine.crew)[first];
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
  for (const Thread& thread : *machine.crew) {
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
  if (at_barrier < machine.crew->size()) {
    return false;
  }
  for (Thread& thread : *machine.crew) {
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
  tsan_release(&machine.begin);
  std::vector<unsigned> order(machine.crew->size());
  for (unsigned number = 0; number < order.size(); ++number) {
    Thread& thread = (*machine.crew)[number];
    thread.state = State::ready;
    thread.fenced = false;
    thread.last_atomic = nullptr;
    order[schedule == Schedule::descending ? order.size() - 1 - number : number] = number;
  }
  bool progress = true;
  while (progress && machine.error.empty()) {
    progress = false;
    if (schedule == Schedule::random) {
      std::shuffle(order.begin(), order.end(), random);
    }
    for (unsigned number : order) {
      if ((*machine.crew)[number].state == State::ready) {
        resume(number);
        progress = true;
      }
    }
    for (unsigned first = 0; first < order.size(); first += kThreadsOfWarp) {
      progress |= resolve_shuffles(first);
    }
    progress |= open_barrier();
  }
  for (const Thread& thread : *machine.crew) {
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
  const unsigned blocks = grid.x * grid.y;
  hire(kCrewOfEachBlock ? blocks : 1, threads);
  std::mt19937 random(seed);
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
    machine.crew = &machine.crews[kCrewOfEachBlock ? block : 0];
#ifdef __SANITIZE_THREAD__
    std::thread([&] { run_block(schedule, random); }).join();
#else
    run_block(schedule, random);
#endif
  }
  tsan_acquire(&machine.end);
  machine.retired.clear();
  if (!machine.error.empty()) {
    dismiss();  // what was cut short has threads that wait for ever
  }
  return machine.error;
}

}  // namespace emulated

// The kernels on the emulator: a library to call, or a program that carries out launches of a file.
//
// KERNELS names a file with a line ENTRY(name) for each instance.

#include "emulator.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>

#include "kernels.cu"

namespace {

struct Entry {
  void (*run)(void** arguments);
  std::string parameters;
};

const std::map<std::string, Entry>& entries() {
  static const std::map<std::string, Entry> all{
#define ENTRY(...) \
  {#__VA_ARGS__, \
   {[](void** arguments) { emulated::call(__VA_ARGS__, arguments); }, \
    emulated::parameters_of(__VA_ARGS__)}},
#include KERNELS
#undef ENTRY
  };
  return all;
}

}  // namespace

// The types of a kernel's parameters, or null if there is no such kernel.
extern "C" const char* emulated_parameters(const char* kernel) {
  const auto found = entries().find(kernel);
  return found == entries().end() ? nullptr : found->second.parameters.c_str();
}

// Null, or what went wrong; it lasts until the next call.
extern "C" const char* emulated_launch(
    const char* kernel, unsigned blocks_x, unsigned blocks_y, void** arguments, int schedule,
    unsigned seed) {
  const std::string& error = emulated::launch(
      entries().at(kernel).run, arguments, {blocks_x, blocks_y, 1}, kThreads,
      static_cast<emulated::Schedule>(schedule), seed);
  return error.empty() ? nullptr : error.c_str();
}

#ifdef EMULATED_PROGRAM

// Reads a file of buffers and launches, and writes the buffers as the launches left them; names
// each kernel that has come to its end. Every buffer is an allocation of its own and of its very
// size, so that AddressSanitizer sees its ends.
namespace {

template <typename T>
T read(std::istream& from) {
  T value;
  from.read(reinterpret_cast<char*>(&value), sizeof value);
  return value;
}

}  // namespace

int main(int, char** arguments) {
  std::ifstream from(arguments[1], std::ios::binary);
  const int schedule = read<int32_t>(from);
  auto seed = read<uint32_t>(from);
  std::vector<std::pair<char*, int64_t>> buffers(read<int32_t>(from));
  for (auto& [data, bytes] : buffers) {
    bytes = read<int64_t>(from);
    data = static_cast<char*>(std::malloc(bytes));
    from.read(data, bytes);
  }
  for (int launches = read<int32_t>(from); launches > 0; --launches) {
    std::string kernel(read<int32_t>(from), ' ');
    from.read(kernel.data(), static_cast<std::streamsize>(kernel.size()));
    const auto blocks_x = read<uint32_t>(from), blocks_y = read<uint32_t>(from);
    std::vector<int64_t> values(read<int32_t>(from));
    for (auto& value : values) {
      const int32_t buffer = read<int32_t>(from);  // -1 where the value is the argument itself
      value = read<int64_t>(from);
      if (buffer >= 0) {
        value += reinterpret_cast<int64_t>(buffers[buffer].first);
      }
    }
    std::vector<void*> addresses;
    for (auto& value : values) {
      addresses.push_back(&value);
    }
    const char* error =
        emulated_launch(kernel.c_str(), blocks_x, blocks_y, addresses.data(), schedule, seed++);
    if (error != nullptr) {
      fprintf(stderr, "%s: %s\n", kernel.c_str(), error);
      return 1;
    }
    puts(kernel.c_str());
  }
  std::ofstream to(arguments[2], std::ios::binary);
  for (const auto& [data, bytes] : buffers) {
    to.write(data, bytes);
  }
  return 0;
}

#endif

// A stand-in for CUDA's driver, below NVIDIA's bindings: it runs nothing, and says what a launch
// hands over. SIZES are the bytes of the parameters of the kernel that is launched, REFUSED the
// handle of a stream that none is launched on.

#include <dlfcn.h>
#include <elf.h>

#include <cstdio>
#include <cstring>
#include <string>

namespace {

using handle_t = unsigned long long;
constexpr int kSuccess = 0, kInvalidValue = 1, kInvalidContext = 201, kNotFound = 500;
constexpr std::size_t kSizes[] = {SIZES};
char context;
const void* current = nullptr;

}  // namespace

extern "C" {

int cuGetProcAddress_v2(const char* name, void** function, int, handle_t, int* status) {
  *function = dlsym(dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD), name);
  const bool is_missing = *function == nullptr;
  if (status != nullptr) {
    *status = is_missing;
  }
  return is_missing ? kNotFound : kSuccess;
}

int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return kSuccess;
}

int cuDevicePrimaryCtxRetain(void** made, int) {
  *made = &context;
  return kSuccess;
}

int cuCtxSetCurrent(const void* given) {
  current = given;
  return kSuccess;
}

// A module is a copy of its image, which ends behind its table of sections.
int cuModuleLoadData(std::string** module, const char* image) {
  if (current != &context) {
    return kInvalidContext;
  }
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    return kInvalidValue;
  }
  *module = new std::string(image, header.e_shoff + header.e_shnum * header.e_shentsize);
  return kSuccess;
}

// A function is its name, which stands in its module.
int cuModuleGetFunction(char** function, const std::string* module, const char* name) {
  *function = strdup(name);
  return module->find(name) == std::string::npos ? kNotFound : kSuccess;
}

int cuLaunchKernel(
    const char* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
    unsigned block_y, unsigned block_z, unsigned shared_bytes, handle_t stream, void** parameters,
    void** extra) {
  if (current != &context || stream == REFUSED || extra != nullptr) {
    return kInvalidValue;
  }
  std::printf("%s %u %u %u %u %u %u %u %llu", function, grid_x, grid_y, grid_z, block_x, block_y,
              block_z, shared_bytes, stream);
  for (const std::size_t size : kSizes) {
    handle_t value = 0;
    std::memcpy(&value, *parameters++, size);
    std::printf(" %llu", value);
  }
  std::printf("\n");
  std::fflush(stdout);
  return kSuccess;
}

}  // extern "C"

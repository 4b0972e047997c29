// The plainest loops over memory and arithmetic, of one instruction-set level. Read by the units
// per level: nothing here makes code of its own.
#pragma once
#include <cstdint>

namespace lazulite::bench {

// Arithmetic in registers: `rounds` times so many operations; the result keeps it from being left
// out.
struct Arithmetic {
  const char* name;  // a dtype, or an instruction's
  double (*run)(int64_t rounds);
  int64_t operations;  // of one round: a multiply-add is two
  bool (*available)();
};

struct RoofKernels {
  float (*read)(const void* from, int64_t bytes);  // bytes: a multiple of 4096
  void (*write)(void* to, int64_t bytes);
  void (*copy)(void* to, const void* from, int64_t bytes);
  void (*stream)(void* to, const void* from, int64_t bytes);  // copy past the caches
  Arithmetic arithmetic[6];                                   // ends with a null name
};

}  // namespace lazulite::bench

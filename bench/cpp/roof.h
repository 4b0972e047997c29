// What a machine can do: the plainest loops over memory and arithmetic, timed.
#pragma once
#include <string>
#include <vector>

#include "device/cpu/features.h"
#include "roof_kernels.h"

namespace lazulite::bench {

struct Level {
  const char* name;
  cpu::Level isa;
  const RoofKernels* roof;
};
std::vector<Level> levels();  // those that this machine and LAZULITE_ISA allow, the lowest first

// A place in the hierarchy of memory, and how many bytes of one thread fit well inside it.
struct Place {
  std::string name;
  int64_t bytes;     // of one thread's working set
  int64_t capacity;  // where the next place begins, of one thread
};
std::vector<Place> places();

struct Bandwidth {
  double read, write, copy;  // GB/s; a copy counts what is read and what is written
};
Bandwidth bandwidth(const RoofKernels&, const Place&, int threads);
double rate(const Arithmetic&, int threads);  // 1e9 operations per second

}  // namespace lazulite::bench

// What a machine can do: the plainest loops over memory and arithmetic, per instruction-set level.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

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

struct Level {
  const char* name;
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

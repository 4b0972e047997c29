// What this machine offers: instruction sets, caches, cores and memory that this process may use.
//
// Everything here is worked out once, at first use, and may be called from any thread. On machines
// that are not x86-64 only Level::generic exists.
#pragma once

#include <cstdint>
#include <string>

#include "base/ref.h"

namespace lazulite::cpu {

// Levels of kernels. avx2 is x86-64-v3 (AVX2, FMA, F16C, BMI); avx512 is x86-64-v4 (F, BW, CD, DQ,
// VL).
enum class Level : uint8_t { generic, avx2, avx512 };

// What kernels of the chosen level may use on top of it; a bit is true only where the processor
// and the system have it and the chosen level allows it.
struct Features {
  Level level = Level::generic;
  bool vnni = false;  // AVX-512 VNNI
  bool bf16 = false;  // AVX-512 BF16, where it is worth it
  bool fp16 = false;  // AVX-512 FP16
  bool amx = false;   // AMX tiles with int8 and bf16, and the system's permission to use them
};

// The level in use. LAZULITE_ISA=generic|avx2|avx512|avx512_bf16|amx forces one; a name that is
// unknown, or a level that the machine lacks, raises an Error that names what the machine has.
const Features& features();
// While one lives, its thread computes at the generic level, without OpenBLAS and alone: what the
// other levels are compared with.
extern constinit LAZULITE_THREAD_LOCAL bool at_generic_level;
struct GenericLevel {
  GenericLevel() { at_generic_level = true; }
  ~GenericLevel() { at_generic_level = before; }
  GenericLevel(const GenericLevel&) = delete;
  const bool before = at_generic_level;
};
inline Level level() { return at_generic_level ? Level::generic : features().level; }
const char* level_name();  // "generic", "avx2", "avx512", "avx512_bf16", "amx"

std::string cpu_name();

struct CacheSizes {
  int64_t l1 = 32 << 10, l2 = 1 << 20, l3 = 8 << 20;  // bytes of data cache as one core sees it
};
const CacheSizes& cache_sizes();
// What an op may move before its result is gone from the caches by the time that it ends.
int64_t cached_bytes();

// Cores for this process: min(affinity, cgroup CPU quota rounded up, physical cores), at least 1.
int usable_cores();

// Memory for this process in bytes: the installed memory, or the container's limit if smaller.
int64_t usable_memory();

}  // namespace lazulite::cpu

// Kernels that a level has besides those of its table: the rest is what the level below has.
//   in kernels.<level>.cpp, which is compiled for that level alone:
//     void LAZULITE_AT_LEVEL(fill_sort_kernels)(SortKernels& table) { table.merge = ...; }
//   in a plain unit, beside LAZULITE_LEVELS(const SortKernels&, sort_kernels):
//     LAZULITE_FILLED(SortKernels, sort_kernels, amx)   then   sort_kernels_filled()
// A table is filled once; a thread at the generic level (cpu::GenericLevel) keeps the plain one.
#pragma once
#include "device/cpu/level.h"

namespace lazulite::cpu {

inline bool reaches_avx2() { return level() >= Level::avx2; }
inline bool reaches_avx512() { return level() >= Level::avx512; }
inline bool reaches_avx512_vnni() { return reaches_avx512() && features().vnni; }
inline bool reaches_avx512_bf16() { return reaches_avx512() && features().bf16; }
inline bool reaches_amx() { return reaches_avx512() && features().amx; }

}  // namespace lazulite::cpu

#if defined(__x86_64__) && !defined(LAZULITE_GENERIC_ONLY)
// result() is below(), and at a level what that fills in besides.
#define LAZULITE_FILLED_OVER(Table, name, below, level_, result) \
  void fill_##name##_##level_(Table&);                           \
  inline const Table& result() {                                 \
    if (!cpu::reaches_##level_()) return below();                \
    static const Table filled = [] {                             \
      Table table = below();                                     \
      fill_##name##_##level_(table);                             \
      return table;                                              \
    }();                                                         \
    return filled;                                               \
  }
#else
#define LAZULITE_FILLED_OVER(Table, name, below, level_, result) \
  inline const Table& result() { return below(); }
#endif
#define LAZULITE_FILLED(Table, name, level_) \
  LAZULITE_FILLED_OVER(Table, name, name, level_, name##_filled)

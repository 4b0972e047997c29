// Units compiled once per instruction-set level: what each exports, and how the running one is
// chosen.
//   in a per-level unit:   const Table& LAZULITE_AT_LEVEL(name)() { ... }
//   in a plain unit:       LAZULITE_LEVELS(const Table&, name)   then   name()
#pragma once

#define LAZULITE_JOIN2(a, b) a##_##b
#define LAZULITE_JOIN(a, b) LAZULITE_JOIN2(a, b)
#define LAZULITE_AT_LEVEL(name) LAZULITE_JOIN(name, LAZULITE_LEVEL)

#ifndef LAZULITE_LEVEL
#include "device/cpu/features.h"
#if defined(__x86_64__) && !defined(LAZULITE_GENERIC_ONLY)
#define LAZULITE_LEVELS(type, name)                     \
  type name##_generic();                                \
  type name##_avx2();                                   \
  type name##_avx512();                                 \
  inline type name() {                                  \
    switch (cpu::level()) {                             \
      case cpu::Level::avx512: return name##_avx512();  \
      case cpu::Level::avx2: return name##_avx2();      \
      default: return name##_generic();                 \
    }                                                   \
  }
#else
#define LAZULITE_LEVELS(type, name) \
  type name##_generic();            \
  inline type name() { return name##_generic(); }
#endif
#endif

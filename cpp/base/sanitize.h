// What builds with sanitizers need to know of memory that is kept for later.
#pragma once
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define LAZULITE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LAZULITE_ASAN 1
#endif
#endif

#if defined(LAZULITE_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace lazulite::sanitize {

// Free lists of nodes and Python objects hide the use of what is free: they stay empty.
#if defined(LAZULITE_ASAN)
constexpr bool keep_spares = false;
inline void poison(void* data, size_t bytes) { __asan_poison_memory_region(data, bytes); }
inline void unpoison(void* data, size_t bytes) { __asan_unpoison_memory_region(data, bytes); }
#else
constexpr bool keep_spares = true;
inline void poison(void*, size_t) {}
inline void unpoison(void*, size_t) {}
#endif

}  // namespace lazulite::sanitize

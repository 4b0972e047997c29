// The caching allocator for the data of arrays.
//
// Any thread may call anything here, and may release what another thread allocated. Blocks up to
// 64 KB come from bins of the calling thread (some 30 ns a pair); larger ones are mappings of whole
// pages, cached when released and reused by best fit. All of it is leaked at exit and works in a
// forked child.
#pragma once

#include <cstdint>

namespace lazulite::cpu {

// Bytes behind every block that may be read (not trusted): kernels load whole registers.
constexpr int64_t block_padding = 64;

// A block of at least `bytes`, aligned to 64, its contents arbitrary. `*capacity` receives what
// release wants back: the bytes that the accounting counts, which are those asked for. Raises
// Kind::value for a negative size, Kind::memory beyond the memory limit or what the system gives.
void* allocate(int64_t bytes, int64_t* capacity);
void release(void* block, int64_t capacity) noexcept;

// Bytes of the live blocks, as they were asked for; the most there were since the start or since
// reset_peak_memory; bytes held in no live block, which clear_cache gives back to the system.
int64_t get_active_memory();
int64_t get_peak_memory();
void reset_peak_memory();
int64_t get_cache_memory();
void clear_cache();

// Limits in bytes, not negative; the setters return the old one. Active memory never exceeds the
// memory limit (at the start 95 % of usable_memory()), and the cache gives way before the two
// together do. A cache beyond its limit (at the start 25 %) returns its oldest blocks first.
int64_t get_memory_limit();
int64_t set_memory_limit(int64_t bytes);
int64_t get_cache_limit();
int64_t set_cache_limit(int64_t bytes);

// For the one set of fork handlers, in pool.cpp.
void lock_allocator_for_fork();
void unlock_allocator_in_parent();
void unlock_allocator_in_child();

}  // namespace lazulite::cpu

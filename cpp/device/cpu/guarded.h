// Blocks of memory with nothing behind them (or before them), for tests.
//
// A block ends at the last byte of its pages, or begins at their first, and pages without access
// lie around it: a kernel that reads or writes one byte beyond faults, whatever it was compiled
// for. So does the use of what was released, as no address is given twice. Blocks are filled with
// 0xff, which is nan in every floating dtype, so that what reads before it writes shows.
#pragma once

#include <cstdint>
#include <string>

namespace lazulite::cpu {

enum class Guard : uint8_t { none, end, start };

Guard guard_named(const std::string& name);  // ValueError for what is none of them
const char* name_of(Guard guard);

// What the allocator does from now on, and what it did; blocks that are alive stay as they are.
Guard set_guard(Guard guard);

namespace guarded {
bool wanted();
// Null where the system gives no more (each block is two entries in its map of pages).
void* take(int64_t bytes);
// False for a block that is none of these.
bool give(void* block, int64_t bytes) noexcept;
}  // namespace guarded

}  // namespace lazulite::cpu

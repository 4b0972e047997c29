// What kernels made of a buffer for themselves, and want again: weights packed for products. It is
// kept beside the buffer while that stays as it is: dropped when the buffer is freed or about to be
// written over, never made of memory that somebody else may write to, and bounded
// (LAZULITE_PACKED_BYTES, and the limit of the cache).
#pragma once
#include <optional>
#include <vector>

#include "device/device.h"

namespace lazulite::cpu {

// All that the packed form follows from, besides the buffer's contents.
using PackedKey = std::vector<int64_t>;

inline constexpr int64_t least_packed_bytes = 64 << 10;  // of a buffer, and of what is made of it

struct FoundPacked {
  Ref<Buffer> memory;  // or nothing
  bool again = false;  // nothing, but it was looked for before and there is room: worth keeping
};
// `from` is held by the caller's step, so that nobody writes to it meanwhile. `bytes`: of the form.
FoundPacked find_packed(const Buffer& from, const PackedKey& key, int64_t bytes);
void keep_packed(const Buffer& from, const PackedKey& key, Ref<Buffer> memory);
void drop_packed(const Buffer& from);

// What was found out of two such buffers together, to be used while both stay as they are.
struct KnownFact {
  std::optional<bool> fact;
  bool again = false;  // not known, but it was asked before: worth finding out
};
KnownFact known_of(const Buffer& a, const Buffer& b, const PackedKey& key);
void note_of(const Buffer& a, const Buffer& b, const PackedKey& key, bool fact);

int64_t packed_bytes();
void clear_packed();

}  // namespace lazulite::cpu

// Bytes that "deflate" packed (RFC 1951), one after the other, by the system's zlib.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "ops/files/files.h"

namespace lazulite {

// Where packed bytes lie in a file, and what is known of what they stand for.
struct Packed {
  Ref<File> file;
  int64_t begin, size;
  int64_t stands_for;  // bytes
  uint32_t checksum;   // of these
};

// Whether the system has zlib (libz.so.1, opened at first use).
bool can_inflate();

// The file that packed bytes stand for, where can_inflate(). Reading it raises a format error where
// they are no such bytes.
struct Deflated : File {
  Deflated(Packed packed, std::string name) : File(std::move(name)), packed(std::move(packed)) {}
  int64_t read(char* to, int64_t n, int64_t at) const override { return in_order(at)->next(to, n); }
  std::unique_ptr<InOrder> in_order(int64_t at) const override;
  const Packed packed;
};

}  // namespace lazulite

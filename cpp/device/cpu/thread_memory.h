// Memory that a thread keeps from call to call, with arbitrary contents.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>

#include "device/cpu/guarded.h"

namespace lazulite::cpu {

class ThreadMemory {
 public:
  ThreadMemory() = default;
  ThreadMemory(const ThreadMemory&) = delete;
  ThreadMemory& operator=(const ThreadMemory&) = delete;
  ~ThreadMemory() { drop(); }

  char* data() const { return data_; }

  // At least so many bytes, on a page's border; in guarded memory on a line's, and no more of them.
  char* reserve(int64_t bytes) {
    const bool guarded = guarded::wanted();
    bytes = rounded(bytes, guarded ? 64 : 4096);
    if (guarded ? bytes == bytes_ : bytes <= bytes_) return data_;
    drop();
    if (guarded) data_ = static_cast<char*>(guarded::take(bytes));
    if (!data_) data_ = static_cast<char*>(std::aligned_alloc(4096, size_t(rounded(bytes, 4096))));
    if (!data_) throw std::bad_alloc();
    bytes_ = bytes;
    return data_;
  }

 private:
  static int64_t rounded(int64_t bytes, int64_t step) { return (bytes + step - 1) / step * step; }
  void drop() noexcept {
    if (data_ && !guarded::give(data_, bytes_)) std::free(data_);
    data_ = nullptr;
    bytes_ = 0;
  }

  char* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace lazulite::cpu

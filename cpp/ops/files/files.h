// Arrays that are read from a file when they are evaluated.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "graph/node.h"

namespace lazulite {

// Its bytes one after the other.
struct InOrder {
  virtual ~InOrder() = default;
  virtual int64_t next(char* to, int64_t n) = 0;  // fewer than n where they end
  virtual void
  finish() = 0;  // no more are asked for: raises where they are not what they should be
};

// What arrays are read from: by position, from any thread. It goes with the last array that has
// not been read.
struct File : Counted {
  explicit File(std::string file_name) : name(std::move(file_name)) {}
  virtual ~File() = default;
  // Bytes [at, at + n) to `to`; fewer than n where the file ends. Raises where it cannot be read.
  virtual int64_t read(char* to, int64_t n, int64_t at) const = 0;
  // From `at` to the end, of a file that can only be read so; null: of others.
  virtual std::unique_ptr<InOrder> in_order(int64_t) const { return nullptr; }
  const std::string name;
};

// A descriptor, which it takes over. Nothing is mapped: a file that shrinks under a mapping would
// end the process.
Ref<File> file_of(int descriptor, std::string name);

// Numbers in blocks of bytes, as files of language models have them (GGUF): each block has its
// scales and codes of some bits. Formats by their names (Q4_K) give the numbers as float16; those
// that affine quantization has are given as its parts too (Q4_0.weight, Q4_0.scales, Q4_0.biases).
struct BlockFormat {
  const char* name;
  Dtype type;
  int bytes, numbers;                              // of a block, and of what it gives
  void (*decode)(const uint8_t* block, void* to);  // all of them; what is float16 as float32
};
const BlockFormat* find_blocks(std::string_view name);  // null: not known

// The array whose bytes, dense in row-major order, begin at `offset`; `swap` bytes of a number are
// in the other order (0: none are). Raises a format error when it is evaluated and the file has
// become shorter.
array load_array(const Ref<File>&, int64_t offset, const Shape&, Dtype, int swap,
                 Stream s = default_stream());
// What the blocks that begin at `offset` give; the last axis is one of whole blocks.
array load_blocks(const Ref<File>&, int64_t offset, const Shape&, const BlockFormat&,
                  Stream s = default_stream());

}  // namespace lazulite

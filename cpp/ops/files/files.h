// Arrays that are read from a file when they are evaluated.
#pragma once
#include <string>

#include "graph/node.h"

namespace lazulite {

// An open file, closed with the last array that has not been read. Read by position (never mapped:
// a file that shrinks under a mapping would end the process), from any thread.
struct File : Counted {
  File(int descriptor, std::string file_name)
      : fd(descriptor), name(std::move(file_name)) {}  // takes over fd
  ~File();
  const int fd;
  const std::string name;
};

// The array whose bytes, dense in row-major order, begin at `offset`; `swap` bytes of a number are
// in the other order (0: none are). Raises a format error when it is evaluated and the file has
// become shorter.
array load_array(const Ref<File>&, int64_t offset, const Shape&, Dtype, int swap,
                 Stream s = default_stream());

}  // namespace lazulite

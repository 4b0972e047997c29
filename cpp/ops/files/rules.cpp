#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ops/files/ops.h"

namespace lazulite {

namespace {

struct Disk : File {
  Disk(int descriptor, std::string name) : File(std::move(name)), fd(descriptor) {}
  ~Disk() override { close(fd); }
  int64_t read(char* to, int64_t n, int64_t at) const override {
    int64_t done = 0;
    while (done < n) {
      const ssize_t got = pread(fd, to + done, size_t(n - done), off_t(at + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail(Kind::format, "load", "cannot read ", name, ": ", std::strerror(errno));
      if (got == 0) break;
      done += got;
    }
    return done;
  }
  const int fd;
};

Specs infer_load(const FilePlace& from, const Arrays& in) {
  check_inputs("load", in, 0);
  return {from.spec};
}

array load(const Ref<File>& file, int64_t offset, const Shape& shape, Dtype type, int swap,
           const BlockFormat* blocks, Stream s) {
  check_shape(shape, type, "load");
  if (offset < 0) fail(Kind::value, "load", "before the file: got offset ", offset);
  if (size_of(shape) == 0) return constant(0, shape, type, s);
  return record(load_op, AttrsRef(new FilePlace(file, offset, Spec{shape, type}, swap, blocks)), {},
                s);
}

}  // namespace

const Op load_op = op<FilePlace>("load", "Reads an array from a file.",
                                 {.slow = true, .infer = typed<infer_load>});

OpList files_ops() { return {&load_op}; }

Ref<File> file_of(int descriptor, std::string name) {
  return Ref<File>(new Disk(descriptor, std::move(name)));
}

array load_array(const Ref<File>& file, int64_t offset, const Shape& shape, Dtype type, int swap,
                 Stream s) {
  return load(file, offset, shape, type, swap, nullptr, s);
}

array load_blocks(const Ref<File>& file, int64_t offset, const Shape& shape,
                  const BlockFormat& blocks, Stream s) {
  if (shape.empty() || shape.back() % blocks.numbers)
    fail(Kind::value, "load", "blocks do not fit: got shape ", shape,
         ", expected a last axis of a multiple of ", blocks.numbers);
  return load(file, offset, shape, blocks.type, 0, &blocks, s);
}

}  // namespace lazulite

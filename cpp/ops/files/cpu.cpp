// Reading into the memory of the CPU, in parts on several threads.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ops/cpu.h"
#include "ops/files/ops.h"

namespace lazulite {
namespace {

void read_all(const FilePlace& from, char* to, int64_t begin, int64_t end) {
  while (begin < end) {
    const ssize_t got =
        pread(from.file->fd, to + begin, size_t(end - begin), off_t(from.offset + begin));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      fail(Kind::format, "load", "cannot read ", from.file->name, ": ", std::strerror(errno));
    if (got == 0)
      fail(Kind::format, "load", "the file has become shorter: ", from.file->name, ": expected ",
           end - begin, " more bytes at ", from.offset + begin);
    begin += got;
  }
}

void swap_bytes(char* data, int64_t bytes, int unit) {
  for (int64_t i = 0; i < bytes; i += unit) std::reverse(data + i, data + i + unit);
}

void load_kernel(const KernelCall& call) {
  const auto& from = static_cast<const FilePlace&>(*call.node.attributes);
  if (!from.file) fail(Kind::runtime, "load", "the array was read already");
  char* const to = call.out[0].data;
  const int64_t bytes = size_of(from.spec.shape) * size_of(from.spec.type);
  constexpr int64_t part = int64_t(8) << 20;  // a multiple of every unit
  cpu::parallel_for((bytes + part - 1) / part, [&](int64_t i) {
    const int64_t begin = i * part, end = std::min(bytes, begin + part);
    read_all(from, to, begin, end);
    if (from.swap > 1) swap_bytes(to + begin, end - begin, from.swap);
    if (is_bool(from.spec.type))
      for (int64_t k = begin; k < end; ++k) to[k] = to[k] != 0;  // the file may hold any byte
  }, double(bytes));
  // The array has its values: unless a trace or a graph may run this again, the file is let go.
  if (call.node.pins.load() == 0 && call.node.attributes->refs.load() == 1) from.file.reset();
}

}  // namespace

void register_files(cpu::Kernels& kernels) { kernels[load_op] = {load_kernel}; }

}  // namespace lazulite

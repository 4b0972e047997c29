// Reading into the memory of the CPU, in pieces, on several threads. What is only the operand of
// the program behind is read a piece at a time and never stored.
#include <algorithm>
#include <cstring>
#include <memory>

#include "device/cpu/block.h"
#include "eval/compare.h"
#include "ops/cpu.h"
#include "ops/files/ops.h"

namespace lazulite {
namespace {

// Elements of a piece: in the second-level cache for the program behind, and dear enough that
// system calls cost nothing beside it (256 KB of float32 are read in 25 us). A multiple of every
// block.
constexpr int64_t piece = 1 << 16;
constexpr int64_t some = 2048;  // numbers of blocks at a time, a multiple of every block

// `next`: the bytes that follow those read before, where there is one.
void read_whole(const FilePlace& from, char* to, int64_t n, int64_t at, InOrder* next) {
  const int64_t got = next ? next->next(to, n) : from.file->read(to, n, from.offset + at);
  if (got < n)
    fail(Kind::format, "load", "the file has become shorter: ", from.file->name, ": expected ",
         n - got, " more bytes at ", from.offset + at + got);
}

void swap_bytes(char* data, int64_t bytes, int unit) {
  for (int64_t i = 0; i < bytes; i += unit) std::reverse(data + i, data + i + unit);
}

void read_numbers(const FilePlace& from, int64_t begin, int64_t n, char* to, InOrder* next) {
  const int64_t bytes = n * size_of(from.spec.type);
  read_whole(from, to, bytes, begin * size_of(from.spec.type), next);
  if (from.swap > 1) swap_bytes(to, bytes, from.swap);
  if (is_bool(from.spec.type))
    for (int64_t k = 0; k < bytes; ++k) to[k] = to[k] != 0;  // the file may hold any byte
}

void read_blocks(const FilePlace& from, int64_t begin, int64_t n, char* to, InOrder* next) {
  const BlockFormat& blocks = *from.blocks;
  const int64_t first = begin / blocks.numbers, count = n / blocks.numbers;
  const Ref<Buffer> held = allocate(count * blocks.bytes);
  auto* const raw = static_cast<uint8_t*>(held->data);
  read_whole(from, static_cast<char*>(held->data), count * blocks.bytes, first * blocks.bytes,
             next);
  if (blocks.type != float16) {
    for (int64_t b = 0; b < count; ++b)
      blocks.decode(raw + b * blocks.bytes, to + b * blocks.numbers * size_of(blocks.type));
    return;
  }
  // Some blocks as float32, then all of these rounded, in the first-level cache.
  alignas(64) float wide[some];
  alignas(64) uint16_t halves[some];
  const void* const from_wide = wide;
  const Kernel narrow = cpu::narrow_kernel(float16);
  for (int64_t done = 0; done < n; done += some) {
    const int64_t part = std::min<int64_t>(some, n - done);
    for (int64_t i = 0; i < part; i += blocks.numbers)
      blocks.decode(raw + (done + i) / blocks.numbers * blocks.bytes, wide + i);
    std::fill(wide + part, wide + (part + 63) / 64 * 64, 0.0f);
    narrow(halves, &from_wide, (part + 63) / 64 * 64);
    std::memcpy(to + done * 2, halves, size_t(part) * 2);
  }
}

void read(const FilePlace& from, int64_t begin, int64_t n, char* to, InOrder* next) {
  from.blocks ? read_blocks(from, begin, n, to, next) : read_numbers(from, begin, n, to, next);
}

void load_kernel(const KernelCall& call) {
  const auto& from = static_cast<const FilePlace&>(*call.node.attributes);
  if (!from.file) fail(Kind::runtime, "load", "the array was read already");
  char* const to = call.out[0].data;
  const int64_t size = size_of(from.spec.shape), width = size_of(from.spec.type);
  const double cost = double(from.bytes()) * (from.blocks ? 0.5 : 0.1);
  const std::unique_ptr<InOrder> next = from.file->in_order(from.offset);
  const auto one = [&](int64_t i) {
    const int64_t begin = i * piece, n = std::min(size - begin, piece);
    if (to) {
      read(from, begin, n, to + begin * width, next.get());
      if (call.after) call.after->run(begin, 1, 0, n);
      return;
    }
    const Ref<Buffer> held = allocate(n * width);
    read(from, begin, n, static_cast<char*>(held->data), next.get());
    call.after->run_at(held->data, call.value, begin, n);
  };
  const int64_t pieces = (size + piece - 1) / piece;
  if (next) {
    for (int64_t i = 0; i < pieces; ++i) one(i);
    next->finish();
  } else {
    cpu::parallel_for(pieces, one,
                      cost + (call.after ? double(size) * call.after->cost() : 0));
  }
  // The array has its values: unless a trace, a graph or who compares may run this again, the file
  // is let go.
  if (call.node.pins.load() == 0 && call.node.attributes->refs.load() == 1 && !comparing.load())
    from.file.reset();
}

}  // namespace

void register_files(cpu::Kernels& kernels) {
  OpKernels load;
  load.run = load_kernel;
  load.absorbs = Absorb::after;
  load.streams = true;
  kernels[load_op] = load;
}

}  // namespace lazulite

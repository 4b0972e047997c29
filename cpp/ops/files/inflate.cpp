#include "ops/files/inflate.h"

#include <dlfcn.h>

#include <algorithm>
#include <limits>
#include <new>

#include "base/fail.h"

namespace lazulite {
namespace {

// zlib's binary interface, as its manual has it (zlib.h, 1.x).
struct Stream {
  const unsigned char* next_in = nullptr;
  unsigned avail_in = 0;
  unsigned long total_in = 0;
  unsigned char* next_out = nullptr;
  unsigned avail_out = 0;
  unsigned long total_out = 0;
  const char* msg = nullptr;
  void* state = nullptr;
  void* (*zalloc)(void*, unsigned, unsigned) = nullptr;
  void (*zfree)(void*, void*) = nullptr;
  void* opaque = nullptr;
  int data_type = 0;
  unsigned long adler = 0, reserved = 0;
};
enum : int { ok = 0, stream_end = 1, memory_error = -4, buffer_error = -5 };

struct Zlib {
  int (*begin)(Stream*, int window_bits, const char* version, int size) = nullptr;
  int (*inflate)(Stream*, int flush) = nullptr;
  int (*end)(Stream*) = nullptr;
  unsigned long (*crc32)(unsigned long, const unsigned char*, unsigned) = nullptr;

  bool there() const { return begin && inflate && end && crc32; }
};

const Zlib& zlib() {
  static const Zlib found = [] {
    Zlib z;
    if (void* library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL)) {
      const auto load = [&](auto& function, const char* name) {
        function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
            dlsym(library, name));
      };
      load(z.begin, "inflateInit2_");
      load(z.inflate, "inflate");
      load(z.end, "inflateEnd");
      load(z.crc32, "crc32");
    }
    return z;
  }();
  return found;
}

constexpr int64_t chunk = 1 << 15, most = 1 << 30;

// It keeps some 80 KB, however many bytes the packed ones stand for.
class Inflated : public InOrder {
 public:
  Inflated(const Packed& packed, std::string name)
      : packed_(packed), name_(std::move(name)), at_(packed.begin),
        end_(packed.begin + packed.size), input_(size_t(chunk)) {
    if (!can_inflate()) fail(Kind::runtime, "load", "no zlib on this system (libz.so.1): ", name_);
    const int got = zlib().begin(&stream_, -15, "1", int(sizeof(Stream)));
    if (got == memory_error) throw std::bad_alloc();
    if (got != ok) wrong("zlib refuses to begin");
  }
  ~Inflated() override { zlib().end(&stream_); }

  int64_t next(char* to, int64_t n) override {
    int64_t done = 0;
    while (done < n && !ended_) {
      auto* const out = reinterpret_cast<unsigned char*>(to + done);
      const auto wanted = unsigned(std::min(n - done, most));
      stream_.next_out = out;
      stream_.avail_out = wanted;
      while (stream_.avail_out > 0 && !ended_) some();
      const unsigned made = wanted - stream_.avail_out;
      checksum_ = zlib().crc32(checksum_, out, made);
      done += made;
    }
    total_ += done;
    return done;
  }

  void finish() override {
    char rest[4096];
    while (total_ <= packed_.stands_for && next(rest, sizeof(rest)) > 0) {
    }
    if (total_ != packed_.stands_for) wrong("another number of bytes than is said of it");
    if (checksum_ != packed_.checksum) wrong("another checksum than is said of it");
  }

 private:
  [[noreturn]] void wrong(const char* what) const {
    fail(Kind::format, "load", "damaged compressed data: ", name_, ": ", what);
  }
  // More bytes to where the stream puts them, or the end.
  void some() {
    if (stream_.avail_in == 0 && at_ < end_) {
      const int64_t n = std::min(end_ - at_, chunk);
      if (packed_.file->read(reinterpret_cast<char*>(input_.data()), n, at_) < n)
        fail(Kind::format, "load", "the file has become shorter: ", name_);
      at_ += n;
      stream_.next_in = input_.data();
      stream_.avail_in = unsigned(n);
    }
    const bool had = stream_.avail_in > 0;
    const int got = zlib().inflate(&stream_, 0);
    ended_ = got == stream_end;
    if (got == memory_error) throw std::bad_alloc();
    if (got == buffer_error && !had) wrong("it ends too early");
    if (got != ok && got != stream_end && got != buffer_error)
      wrong(stream_.msg ? stream_.msg : "zlib does not say why");
  }

  const Packed packed_;
  const std::string name_;
  int64_t at_, end_;  // what is still to be read of the file
  std::vector<unsigned char> input_;
  Stream stream_;
  bool ended_ = false;
  int64_t total_ = 0;  // bytes that were given
  unsigned long checksum_ = 0;
};

}  // namespace

bool can_inflate() { return zlib().there(); }

std::unique_ptr<InOrder> Deflated::in_order(int64_t at) const {
  auto made = std::make_unique<Inflated>(packed, name);
  char before[4096];
  while (at > 0) {
    const int64_t n = made->next(before, std::min<int64_t>(at, sizeof(before)));
    if (n == 0) break;
    at -= n;
  }
  return made;
}

}  // namespace lazulite

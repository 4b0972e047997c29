#include "device/cpu/guarded.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "base/fail.h"

namespace lazulite::cpu {
namespace {

constexpr int64_t room_bytes = int64_t{16} << 40;  // of addresses: nothing lies behind them

std::atomic<Guard> wanted_guard{Guard::none};
std::atomic<char*> room{nullptr};
std::atomic<int64_t> used{0};

int64_t page_bytes() {
  static const int64_t bytes = sysconf(_SC_PAGESIZE);
  return bytes;
}
int64_t in_pages(int64_t bytes) {
  const int64_t page = page_bytes();
  return (bytes + page - 1) / page * page;
}

}  // namespace

const char* name_of(Guard guard) {
  return guard == Guard::end ? "end" : guard == Guard::start ? "start" : "none";
}

Guard guard_named(const std::string& name) {
  for (const Guard guard : {Guard::none, Guard::end, Guard::start})
    if (name == name_of(guard)) return guard;
  fail(Kind::value, "set_guard", "no side of an array: got '", name,
       "', expected 'end', 'start' or 'none'");
}

Guard set_guard(Guard guard) {
  if (guard != Guard::none && !room.load()) {
    void* start = mmap(nullptr, size_t(room_bytes), PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
      fail(Kind::memory, "set_guard",
           "the system gives no room: got a limit of addresses, expected ", room_bytes,
           " bytes of them");
    char* none = nullptr;
    if (!room.compare_exchange_strong(none, static_cast<char*>(start)))
      munmap(start, size_t(room_bytes));
  }
  return wanted_guard.exchange(guard);
}

namespace guarded {

bool wanted() { return wanted_guard.load(std::memory_order_relaxed) != Guard::none; }

void* take(int64_t bytes) {
  const int64_t pages = in_pages(bytes), page = page_bytes();
  const int64_t at = used.fetch_add(pages + page, std::memory_order_relaxed);
  if (at > room_bytes - pages - 2 * page) return nullptr;
  char* const start =
      room.load() + page + at;  // the page before it is another's last, or the first
  if (pages && mprotect(start, size_t(pages), PROT_READ | PROT_WRITE) != 0) return nullptr;
  char* const block = wanted_guard == Guard::start ? start : start + pages - bytes;
  std::memset(start, 0xff, size_t(pages));
  return block;
}

bool give(void* block, int64_t bytes) noexcept {
  char *const all = room.load(std::memory_order_relaxed), *const first = static_cast<char*>(block);
  if (!all || first < all || first >= all + room_bytes) return false;
  const int64_t page = page_bytes(), pages = in_pages(bytes);
  char* const start = all + (first - all) / page * page;
  if (pages)  // fresh pages without access, in place of these
    mmap(start, size_t(pages), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
         -1, 0);
  return true;
}

}  // namespace guarded
}  // namespace lazulite::cpu

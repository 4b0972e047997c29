#include "device/cpu/packed.h"

#include <pthread.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/env.h"
#include "device/cpu/allocator.h"

namespace lazulite::cpu {
namespace {

constexpr size_t most_marks = 1 << 14;

struct Form {
  PackedKey key;
  Ref<Buffer> memory;  // nothing: looked for once
  uint64_t used;
  // Of what is known of two buffers: the other one has a form of the same number, {-1, pair}.
  std::optional<bool> fact = {};
  uint64_t pair = 0;
};

struct Store {
  std::mutex mutex;
  std::unordered_map<const Buffer*, std::vector<Form>> forms;
  size_t marks = 0;  // forms without memory
  int64_t bytes = 0;
  uint64_t clock = 0;

  // What is let go of dies after the lock is free, since buffers ask for it as they die.
  void forget(std::vector<Form>& list, size_t i, std::vector<Ref<Buffer>>& dead) {
    if (list[i].memory) bytes -= list[i].memory->bytes;
    else --marks;
    dead.push_back(std::move(list[i].memory));
    list.erase(list.begin() + ptrdiff_t(i));
  }
  void forget_marks() {
    for (auto at = forms.begin(); at != forms.end();) {
      std::erase_if(at->second, [](const Form& f) { return !f.memory; });
      at = at->second.empty() ? forms.erase(at) : std::next(at);
    }
    marks = 0;
  }
  // Those that were not used for the longest time go, but not those that come round again: weights
  // of a model that has more than may be kept would push each other out, each time.
  bool make_room(int64_t wanted, int64_t limit, std::vector<Ref<Buffer>>& dead) {
    while (bytes + wanted > limit) {
      auto oldest = forms.end();
      size_t which = 0, count = 0;
      for (auto at = forms.begin(); at != forms.end(); count += at->second.size(), ++at)
        for (size_t i = 0; i < at->second.size(); ++i)
          if (at->second[i].memory &&
              (oldest == forms.end() || at->second[i].used < oldest->second[which].used)) {
            oldest = at;
            which = i;
          }
      if (oldest == forms.end() || clock - oldest->second[which].used < 4 * count) return false;
      forget(oldest->second, which, dead);
      if (oldest->second.empty()) forms.erase(oldest);
    }
    return true;
  }
};

Store& store() {
  static Store* const all = new Store;  // buffers die after everything else
  return *all;
}
std::atomic<bool> any{false};

[[maybe_unused]] const int fork_handlers =
    pthread_atfork([] { store().mutex.lock(); }, [] { store().mutex.unlock(); },
                   [] { store().mutex.unlock(); });

const std::optional<int64_t> given = env::integer("LAZULITE_PACKED_BYTES", 0);

int64_t limit() {
  return std::min(given.value_or(get_memory_limit() / 16), get_cache_limit());
}

bool stays(const Buffer& from) {
  return !from.foreign && from.writable && from.bytes >= least_packed_bytes;
}
Form& mark(Store& s, const Buffer& from, const PackedKey& key) {
  any.store(true);
  if (s.marks >= most_marks) s.forget_marks();
  std::vector<Form>& list = s.forms[&from];
  list.push_back({key, {}, ++s.clock});
  ++s.marks;
  return list.back();
}
PackedKey with(const PackedKey& key, const Buffer& other) {
  PackedKey both = key;
  both.push_back(int64_t(reinterpret_cast<intptr_t>(&other)));
  return both;
}

Form* find(Store& s, const Buffer& from, const PackedKey& key) {
  const auto at = s.forms.find(&from);
  if (at == s.forms.end()) return nullptr;
  for (Form& form : at->second)
    if (form.key == key) return &form;
  return nullptr;
}

}  // namespace

FoundPacked find_packed(const Buffer& from, const PackedKey& key, int64_t bytes) {
  if (!stays(from) || bytes < least_packed_bytes || bytes > limit()) return {};
  std::vector<Ref<Buffer>> dead;
  Store& s = store();
  std::lock_guard lock(s.mutex);
  if (Form* form = find(s, from, key)) {
    form->used = ++s.clock;
    if (form->memory) return {form->memory};
    return {{}, s.make_room(bytes, limit(), dead)};
  }
  mark(s, from, key);
  return {};
}

void keep_packed(const Buffer& from, const PackedKey& key, Ref<Buffer> memory) {
  if (get_active_memory() > get_memory_limit() / 2) return;
  std::vector<Ref<Buffer>> dead;
  Store& s = store();
  std::lock_guard lock(s.mutex);
  Form* form = find(s, from, key);
  if (!form || form->memory) return;  // another thread was here
  if (!s.make_room(memory->bytes, limit(), dead)) return;
  form = find(s, from, key);  // lists move
  s.bytes += memory->bytes;
  --s.marks;
  form->memory = std::move(memory);
}

KnownFact known_of(const Buffer& a, const Buffer& b, const PackedKey& key) {
  if (!stays(a) || !stays(b)) return {};
  const PackedKey both = with(key, b);
  Store& s = store();
  std::lock_guard lock(s.mutex);
  const Form* form = find(s, a, both);
  if (!form) {
    mark(s, a, both);
    return {};
  }
  if (form->fact && find(s, b, {-1, int64_t(form->pair)})) return {form->fact};
  return {{}, true};
}

void note_of(const Buffer& a, const Buffer& b, const PackedKey& key, bool fact) {
  Store& s = store();
  std::lock_guard lock(s.mutex);
  const uint64_t pair = ++s.clock;
  mark(s, b, {-1, int64_t(pair)});
  Form* form = find(s, a, with(key, b));
  if (!form) return;
  form->fact = fact;
  form->pair = pair;
}

void drop_packed(const Buffer& from) {
  if (from.bytes < least_packed_bytes || !any.load()) return;
  std::vector<Form> dead;
  Store& s = store();
  std::lock_guard lock(s.mutex);
  const auto at = s.forms.find(&from);
  if (at == s.forms.end()) return;
  dead = std::move(at->second);
  s.forms.erase(at);
  for (const Form& form : dead) {
    if (form.memory) s.bytes -= form.memory->bytes;
    else --s.marks;
  }
}

int64_t packed_bytes() {
  Store& s = store();
  std::lock_guard lock(s.mutex);
  return s.bytes;
}

void clear_packed() {
  std::unordered_map<const Buffer*, std::vector<Form>> dead;
  Store& s = store();
  std::lock_guard lock(s.mutex);
  dead.swap(s.forms);
  s.marks = 0;
  s.bytes = 0;
}

}  // namespace lazulite::cpu

// What a device is to the layers above: memory and block programs. Streams are values.
#pragma once
#include <atomic>
#include <cstdint>
#include <string>

#include "base/ref.h"

namespace lazulite {

// Memory of an array, shared by its views. Freed by the last reference, in whatever thread.
struct Buffer : Counted {
  void* data = nullptr;
  int64_t bytes = 0;
  int64_t capacity = 0;          // as the allocator wants it back
  bool writable = true;
  bool foreign = false;          // somebody else sees this memory: never donated
  bool constant = false;  // of a constant, which equal ones may share: exported as a copy alone
  void (*release)(Buffer*) = nullptr;  // foreign owner's release; null: our allocator
  void* owner = nullptr;
  static void destroy(Buffer*);
};

Ref<Buffer> allocate(int64_t bytes);  // 64-byte aligned, 64 readable bytes behind; raises memory
// Memory of somebody else; release is called once, from any thread.
Ref<Buffer> foreign_buffer(void* data, int64_t bytes, bool writable, void* owner,
                           void (*release)(Buffer*));

// What devices there are: the CPU, and those that add_device makes known.
inline constexpr int most_devices = 4;
struct Device {
  enum Type : uint8_t { cpu, gpu };
  Type type = cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
};

// A value, valid in every thread. id 0 is the default stream of its device.
struct Stream {
  Device::Type device = Device::cpu;
  uint32_t id = 0;
  bool operator==(const Stream&) const = default;
};

// A device that sees the CPU's memory and has kernels of its own for some ops (graph/op.h): what it
// lacks raises one error, before anything is computed. Not while another thread adds one.
Device::Type add_device(const char* name);
bool is_available(Device::Type);
const char* name_of(Device::Type);
extern constinit std::atomic<int> device_types;  // that have names; gpu has one, and is not there
inline bool only_cpu() {
  return device_types.load(std::memory_order_relaxed) == Device::gpu + 1;
}
Device default_device();
void set_default_device(Device);          // gpu where there is none: value error
Stream default_stream();  // of this thread: set by set_default_stream or a StreamScope
Stream default_stream(Device::Type);
void set_default_stream(Stream);          // of this thread
Stream new_stream(Device::Type);
int device_count(Device::Type);

// with mx.stream(s): the calling thread's default while it lives.
struct StreamScope {
  explicit StreamScope(Stream);
  ~StreamScope();
  StreamScope(const StreamScope&) = delete;
  Stream before;
};

}  // namespace lazulite

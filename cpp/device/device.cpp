#include "device/device.h"

#include <atomic>

#include "base/fail.h"
#include "device/cpu/allocator.h"
#include "device/cpu/packed.h"

namespace lazulite {

void Buffer::destroy(Buffer* buffer) {
  cpu::drop_packed(*buffer);
  if (buffer->release) buffer->release(buffer);
  else cpu::release(buffer->data, buffer->capacity);
  delete buffer;
}

Ref<Buffer> allocate(int64_t bytes) {
  int64_t capacity = 0;
  void* data = cpu::allocate(bytes, &capacity);
  auto buffer = make_ref<Buffer>();
  buffer->data = data;
  buffer->bytes = bytes;
  buffer->capacity = capacity;
  return buffer;
}

Ref<Buffer> foreign_buffer(void* data, int64_t bytes, bool writable, void* owner,
                           void (*release)(Buffer*)) {
  auto buffer = make_ref<Buffer>();
  buffer->data = data;
  buffer->bytes = bytes;
  buffer->writable = writable;
  buffer->foreign = true;
  buffer->owner = owner;
  buffer->release = release;
  return buffer;
}

constinit std::atomic<int> device_types{Device::gpu + 1};

namespace {
LAZULITE_THREAD_LOCAL Stream current_stream;
std::atomic<uint32_t> stream_count{1};

constinit const char* names[most_devices] = {"cpu", "gpu"};

void require(Device::Type type, const char* op) {
  if (!is_available(type))
    fail(Kind::value, op, "no such device: got ", name_of(type), ", expected cpu");
}
}  // namespace

Device::Type add_device(const char* name) {
  const int type = device_types.load();
  if (type == most_devices)
    fail(Kind::value, "add_device", "too many devices: got ", name, " after ", most_devices);
  names[type] = name;
  device_types.store(type + 1);
  return Device::Type(type);
}
bool is_available(Device::Type type) { return type != Device::gpu && type < device_types.load(); }
const char* name_of(Device::Type type) { return names[type]; }
Device default_device() { return {}; }
void set_default_device(Device device) { require(device.type, "set_default_device"); }
Stream default_stream() { return current_stream; }

Stream default_stream(Device::Type type) {
  require(type, "default_stream");
  return current_stream.device == type ? current_stream : Stream{type};
}

void set_default_stream(Stream stream) { current_stream = stream; }

Stream new_stream(Device::Type type) {
  require(type, "new_stream");
  return {type, stream_count.fetch_add(1)};
}

int device_count(Device::Type type) { return is_available(type) ? 1 : 0; }

StreamScope::StreamScope(Stream stream) : before(current_stream) { current_stream = stream; }
StreamScope::~StreamScope() { current_stream = before; }

}  // namespace lazulite

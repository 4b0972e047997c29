#include "device/device.h"

#include <atomic>

#include "base/fail.h"
#include "device/cpu/allocator.h"

namespace lazulite {

void Buffer::destroy(Buffer* buffer) {
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

namespace {
LAZULITE_THREAD_LOCAL Stream current_stream;
std::atomic<uint32_t> stream_count{1};

void require(Device::Type type, const char* op) {
  if (!is_available(type)) fail(Kind::value, op, "no such device: got gpu, expected cpu");
}
}  // namespace

bool is_available(Device::Type type) { return type == Device::cpu; }
Device default_device() { return {}; }
void set_default_device(Device device) { require(device.type, "set_default_device"); }
Stream default_stream() { return current_stream; }

Stream default_stream(Device::Type type) {
  require(type, "default_stream");
  return current_stream;
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

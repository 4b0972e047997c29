// Python's functions of devices and streams (how rows are read: ops/functions.h).
#pragma once
#include <optional>

#include "device/facts.h"

namespace lazulite::functions {

template <class M>
void add_device(M& m) {
  m.def(
      "default_device()", [] { return default_device(); },
      "The device on which arrays are computed unless told otherwise.\n\n"
      ">>> mx.default_device()\n"
      "Device(cpu, 0)");
  m.def(
      "set_default_device(device)", [](const Device& d) { set_default_device(d); },
      "Sets the default device. ValueError when the machine has no such device.\n\n"
      ">>> mx.set_default_device(mx.cpu)");
  m.def(
      "default_stream(device)", [](const Device& d) { return stream_of(d); },
      "The default stream of a device.\n\n"
      ">>> mx.default_stream(mx.cpu)\n"
      "Stream(Device(cpu, 0), 0)");
  m.def(
      "set_default_stream(stream)", [](Stream s) { set_default_stream(s); },
      "Makes a stream this thread's default.\n\n"
      ">>> mx.set_default_stream(mx.default_stream(mx.cpu))");
  m.def(
      "new_stream(device)", [](const Device& d) { return new_stream(stream_of(d).device); },
      "A new stream on a device.\n\n"
      ">>> mx.new_stream(mx.cpu).device\n"
      "Device(cpu, 0)");
  m.def(
      "new_thread_local_stream(device)",
      [](const Device& d) { return new_stream(stream_of(d).device); },
      "The same as new_stream: streams are valid in every thread.\n\n"
      ">>> mx.new_thread_local_stream(mx.cpu).device\n"
      "Device(cpu, 0)");
  m.def(
      "new_thread_unsafe_stream(device)",
      [](const Device& d) { return new_stream(stream_of(d).device); },
      "The same as new_stream.\n\n"
      ">>> mx.new_thread_unsafe_stream(mx.cpu).device\n"
      "Device(cpu, 0)");
  m.def(
      "clear_streams()", [] {},
      "Does nothing: streams cost nothing until they are used.\n\n"
      ">>> mx.clear_streams()");
  m.def(
      "device_count(device_type)", [](const Device& d) { return device_count(d.type); },
      "The number of devices of a type.\n\n"
      ">>> mx.device_count(mx.cpu)\n"
      "1");
  m.def(
      "is_available(device)", [](const Device& d) { return is_available(d.type); },
      "True when the machine has the device.\n\n"
      ">>> mx.is_available(mx.gpu)\n"
      "False");
  m.def(
      "device_info(d=None)",
      [](const std::optional<Device>& d) {
        if (d) stream_of(*d);
        return device_facts();
      },
      "Facts about a device: device_name, architecture (the instruction-set level in use), "
      "cores, memory_size (bytes).\n\n"
      ">>> mx.device_info()['cores'] >= 1\n"
      "True");
}

}  // namespace lazulite::functions

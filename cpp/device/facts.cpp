#include "device/facts.h"

#include "base/fail.h"
#include "device/cpu/features.h"

namespace lazulite {

std::string show(const Device& d) {
  const char* type = d.type == Device::cpu ? "cpu" : "gpu";
  return std::string("Device(") + type + ", " + std::to_string(d.index) + ")";
}
std::string show(const Stream& s) {
  return "Stream(" + show(Device{s.device, 0}) + ", " + std::to_string(s.id) + ")";
}

Stream stream_of(const Device& d) {
  if (!is_available(d.type))
    fail(Kind::value, "stream", "no such device on this machine: got ", show(d), ", expected cpu");
  return default_stream(d.type);
}

Facts device_facts() {
  return {{"device_name", cpu::cpu_name()},
          {"architecture", cpu::level_name()},
          {"cores", int64_t(cpu::usable_cores())},
          {"memory_size", int64_t(cpu::usable_memory())},
          {"l2_cache_size", int64_t(cpu::cache_sizes().l2)},
          {"l3_cache_size", int64_t(cpu::cache_sizes().l3)}};
}

}  // namespace lazulite

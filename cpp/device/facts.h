// Devices and streams as text, and what is known of the machine.
#pragma once
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "device/device.h"

namespace lazulite {

std::string show(const Device&);
std::string show(const Stream&);
// The default stream of a device that this machine has; a value error for others.
Stream stream_of(const Device&);

struct Facts : std::vector<std::pair<const char*, std::variant<int64_t, std::string>>> {
  using vector::vector;
};
Facts device_facts();

}  // namespace lazulite

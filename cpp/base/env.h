// Environment variables, read when asked for.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace lazulite::env {

std::optional<std::string> text(const char* name);     // unset or empty: nothing
std::optional<int64_t> integer(const char* name);      // not a number: raises Kind::value
bool flag(const char* name, bool otherwise = false);   // 0, false, off, no: false

}  // namespace lazulite::env

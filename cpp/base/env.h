// Environment variables. What does not make sense is ignored: the default holds, and complaints()
// says so once, which Python turns into warnings at import. Nothing here raises.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

namespace lazulite::env {

std::optional<std::string> text(const char* name);  // unset or empty: nothing
std::optional<int64_t> integer(const char* name, int64_t least = INT64_MIN,
                               int64_t most = INT64_MAX);
bool flag(const char* name,
          bool otherwise = false);  // 1, true, on, yes; 0, false, off, no; in any case
// One of the names; anything else: nothing.
std::optional<std::string> choice(const char* name, std::initializer_list<const char*> names);

// "[NAME] ignored: got 'value', expected ..."; the same variable is complained of once.
void complain(const char* name, const std::string& expected);
std::vector<std::string> complaints();  // those since the last call

}  // namespace lazulite::env

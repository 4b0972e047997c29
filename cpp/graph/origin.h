// Where in the caller's program a node was recorded: kept only while somebody asks for it
// (debug_nans, profile).
#pragma once
#include <atomic>
#include <string>

namespace lazulite {

struct Node;

// While it is on, groups have one member, and what makes a nan or an infinity out of finite numbers
// fails.
extern std::atomic<bool> debugging_nans;
void debug_nans(bool on);  // nests: as often off as on; notes origins

extern std::atomic<bool> noting_origins;
void note_origins(bool on);        // nests; nodes remember their line

using LineHook = std::string (*)();
void set_line_hook(LineHook);      // " at file.py, line 3"; called where a node is recorded
std::string current_line();        // empty without a hook
void note_origin(const Node*);
void forget_origin(const Node*);
std::string origin_of(const Node*);

}  // namespace lazulite

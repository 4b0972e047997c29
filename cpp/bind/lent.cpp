#include "bind/lent.h"

#include <unordered_map>

#include "graph/stand_ins.h"
#include "graph/trace.h"

namespace lazulite::bind {

std::atomic<bool> any_lent{false};

namespace {

thread_local char here;  // its address is the thread's name

enum class How { lent, put, leaf, met };
struct Entry {
  Object object;
  array mine;  // what it is to the thread that traces
  const void* thread;
  How how;
};
// The GIL guards it. Entries stay where they are while others come and go.
std::unordered_map<PyObject*, Entry>& entries() {
  static auto* all = new std::unordered_map<PyObject*, Entry>;
  return *all;
}

array& value_of(PyObject* o) { return reinterpret_cast<PyArray*>(o)->value; }

}  // namespace

array& place_here(PyObject* o) {
  const auto found = entries().find(o);
  return found == entries().end() || found->second.thread != &here ? value_of(o)
                                                                   : found->second.mine;
}

namespace lent {

void lend(const std::vector<std::pair<Object, array>>& state) {
  auto add = [](const Object& object, const array& value, How how = How::lent) {
    const auto [at, made] = entries().try_emplace(object.ptr(), Entry{object, value, &here, how});
    if (!made && at->second.thread != &here)
      fail(Kind::runtime, "compile", "state of a function that another thread traces");
  };
  any_lent.store(true, std::memory_order_relaxed);
  for (const auto& [object, value] : state) {
    add(object, value);
    for (const Object& under : stood_there(object.ptr())) add(under, value);
  }
  for (const Object& over : standing())
    for (const Object& under : stood_there(over.ptr()))
      if (const auto found = entries().find(under.ptr());
          found != entries().end() && found->second.thread == &here) {
        add(over, array(found->second.mine), How::met);
        break;
      }
}

void put(PyObject* object, PyObject* old, bool leaf) {
  if (!any_lent.load(std::memory_order_relaxed) || !is_array(object) || !is_array(old)) return;
  const auto found = entries().find(old);
  if (found == entries().end()) return;
  const Entry& over = found->second;
  if (over.thread != &here) {
    entries().try_emplace(object, Entry{borrow(object), over.mine, over.thread, How::met});
    return;
  }
  const Trace* trace = current_trace();
  while (trace && trace->outer) trace = trace->outer;
  if (!trace || value_of(object).node()->seq < trace->begin) return;  // not of the function
  const How how = leaf ? How::leaf : How::put;
  const bool made =
      entries().try_emplace(object, Entry{borrow(object), value_of(object), &here, how}).second;
  if (made) value_of(object) = array(value_of(old));
}

bool met(PyObject* object) {
  const auto found = entries().find(object);
  return found != entries().end() && found->second.how == How::met &&
         found->second.thread == &here;
}

void take_back() {
  std::vector<Entry> ended;  // die last: that may run Python code
  for (auto at = entries().begin(); at != entries().end();) {
    if (at->second.thread != &here) {
      ++at;
      continue;
    }
    // An array of the function that is read after it says that it escaped; but a transform of
    // another thread may be about to read what it found.
    if (at->second.how == How::put && !stand_ins::others())
      std::swap(value_of(at->first), at->second.mine);
    ended.push_back(std::move(at->second));
    at = entries().erase(at);
  }
  any_lent.store(!entries().empty(), std::memory_order_relaxed);
}

}  // namespace lent
}  // namespace lazulite::bind

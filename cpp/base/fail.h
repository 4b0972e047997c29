// Errors: the one way in which anything goes wrong. Any thread; costs nothing until it throws.
#pragma once
#include <exception>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace lazulite {

// Which Python class an error becomes (bind/errors.cpp maps them).
enum class Kind : unsigned char {
  value,     // ValueError: shapes, axes, arguments that make no sense
  type,      // TypeError: the kind of object or dtype
  argument,  // TypeError (also a ValueError): an argument of the wrong kind
  index,     // IndexError (also a ValueError)
  overflow,  // OverflowError (also a ValueError)
  memory,    // MemoryError
  runtime,   // RuntimeError
  file,      // FileNotFoundError (also a RuntimeError)
  format,    // ValueError (also a RuntimeError): a file that cannot be read
  linalg,    // LinAlgError
  tracer,    // TracerError, a ValueError and a RuntimeError: a value that exists only while a
             // function is traced
};

class Error : public std::exception {
 public:
  Error(Kind kind, std::string text) : kind_(kind), text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }
  Kind kind() const noexcept { return kind_; }
  const std::string& text() const noexcept { return text_; }
  // The same under the name of the function that the user called, unless it was raised by an
  // evaluation.
  Error named(std::string_view function) const;
  // Raised by the evaluation of something that was recorded earlier: it keeps its name.
  Error deferred() const {
    Error same = *this;
    same.deferred_ = true;
    return same;
  }

 private:
  Kind kind_;
  bool deferred_ = false;
  std::string text_;
};

[[noreturn]] void fail_with(Kind kind, std::string_view op, std::string text);

// fail(Kind::value, "reshape", "sizes differ: got ", a, ", expected ", b) throws "[reshape] sizes
// differ: ...".
template <class... Parts>
[[noreturn]] void fail(Kind kind, std::string_view op, const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  fail_with(kind, op, text.str());
}

}  // namespace lazulite

#include "graph/attrs.h"

#include <sstream>

namespace lazulite {

std::string text_of(const AttrsRef& attributes) {
  std::ostringstream out;
  if (attributes) attributes->print(out);
  return out.str();
}

}  // namespace lazulite

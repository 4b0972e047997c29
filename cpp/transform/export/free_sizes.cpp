#include "transform/export/free_sizes.h"

#include <algorithm>

namespace lazulite {

namespace {

using Sizes = std::vector<int64_t>;

std::string first_line(const char* text) {
  return std::string(text).substr(0, std::string(text).find('\n'));
}

bool is_prime(int64_t n) {
  for (int64_t k = 2; k * k <= n; ++k)
    if (n % k == 0) return false;
  return true;
}
// Distinct primes, some way from each other.
Sizes primes(size_t count, int64_t from, int64_t apart) {
  Sizes out;
  for (int64_t n = from; out.size() < count; ++n)
    if (is_prime(n)) {
      out.push_back(n);
      n += apart;
    }
  return out;
}

bool same_ops(const Tokens& a, const Tokens& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Token& x, const Token& y) {
    return x.kind == y.kind && (x.kind != Token::text || x.s == y.s);
  });
}

class Finder {
 public:
  Finder(const std::vector<Spec>& specs, const Tokens& graph, const TraceAt& trace,
         const SameAt& same)
      : specs_(specs), graph_(graph), trace_(trace), same_(same) {
    for (size_t i = 0; i < specs.size(); ++i)
      for (size_t d = 0; d < specs[i].shape.size(); ++d) places_.push_back({i, d, -1, {}});
  }

  FreeSizes operator()() {
    find_symbols();
    FreeSizes out;
    do {
      const std::vector<Sizes> sizes{example(), primes(symbols_, 101, 60),
                                     primes(symbols_, 131, 70)};
      out.graph = fit_formulas({graph_, together(sizes[1]), together(sizes[2])}, sizes);
      name_arguments(out.graph);
      out.excluded.clear();
      for (size_t s = 0; s < symbols_; ++s)
        out.excluded.push_back(excluded(out.graph, s, sizes[1]));
    } while (fix_example(out.excluded));
    for (const Place& p : places_)
      if (p.symbol < 0)
        out.fixed.push_back("argument " + std::to_string(p.argument) + ", axis " +
                            std::to_string(p.axis) + ": " + p.why);
    out.sizes = symbols_;
    return out;
  }

 private:
  struct Place {
    size_t argument, axis;
    int symbol = -1;
    std::string why;  // it is fixed
  };

  int64_t size_at(const Place& p) const { return specs_[p.argument].shape[p.axis]; }
  std::vector<Spec> specs_at(const Sizes& sizes) const {
    std::vector<Spec> at = specs_;
    for (const Place& p : places_)
      if (p.symbol >= 0) at[p.argument].shape[p.axis] = sizes[size_t(p.symbol)];
    return at;
  }

  // May these sizes become another one together, and the ops stay the same? A size of 1 that
  // broadcasts may not.
  bool may_vary(const std::vector<Place*>& places, std::string& why) const {
    std::vector<Spec> at = specs_;
    for (const Place* p : places) at[p->argument].shape[p->axis] = 89;
    try {
      if (same_ops(trace_(at), graph_)) return true;
      why = "other ops at another size";
    } catch (const std::exception& e) {
      why = first_line(e.what());
    }
    return false;
  }

  // Each alone, then those that cannot vary alone with those of their size.
  void find_symbols() {
    for (Place& p : places_)
      if (may_vary({&p}, p.why)) p.symbol = int(symbols_++);
    for (Place& p : places_) {
      if (p.symbol >= 0) continue;
      std::vector<Place*> equal;
      for (Place& other : places_)
        if (other.symbol < 0 && size_at(other) == size_at(p)) equal.push_back(&other);
      std::string why;
      if (equal.size() < 2 || !may_vary(equal, why)) continue;
      for (Place* other : equal) other->symbol = int(symbols_);
      ++symbols_;
    }
  }

  // A size that would leave out the example's own is fixed. False: there is none.
  bool fix_example(const std::vector<Sizes>& excluded) {
    const Sizes own = example();
    for (size_t s = 0; s < symbols_; ++s) {
      if (std::find(excluded[s].begin(), excluded[s].end(), own[s]) == excluded[s].end()) continue;
      for (Place& p : places_) {
        if (p.symbol == int(s)) {
          p.symbol = -1;
          p.why = "other ops beside other sizes";
        } else if (p.symbol > int(s)) {
          --p.symbol;
        }
      }
      --symbols_;
      return true;
    }
    return false;
  }

  Sizes example() const {
    Sizes out(symbols_);
    for (const Place& p : places_)
      if (p.symbol >= 0) out[size_t(p.symbol)] = size_at(p);
    return out;
  }
  Tokens together(const Sizes& sizes) const {
    try {
      return trace_(specs_at(sizes));
    } catch (const std::exception& e) {
      fail(Kind::value, "export_function",
           "sizes that are free alone are not together: ", first_line(e.what()),
           "; expected shapeless=False or one trace for each size (exporter)");
    }
  }

  // Arguments' own sizes are symbols, whatever formula was found.
  void name_arguments(Tokens& graph) const {
    size_t token = 1;
    for (size_t i = 0; i < specs_.size(); ++i) {
      token += 2;  // dtype, number of axes
      for (const Place& p : places_)
        if (p.argument == i && p.symbol >= 0)
          graph[token + p.axis] = {Token::formula, 0, {}, {}, {{1, {p.symbol}}}};
      token += specs_[i].shape.size();
    }
  }

  // At 0, 1 and 2 much behaves otherwise: the formulas must give what a trace gives there.
  Sizes excluded(const Tokens& graph, size_t symbol, Sizes sizes) const {
    Sizes out;
    for (int64_t small = 0; small <= 2; ++small) {
      sizes[symbol] = small;
      bool same = false;
      try {
        same = same_(graph, sizes, trace_(specs_at(sizes)));
      } catch (const std::exception&) {  // no trace, or no graph: excluded
      }
      if (!same) out.push_back(small);
    }
    return out;
  }

  const std::vector<Spec>& specs_;
  const Tokens& graph_;
  const TraceAt& trace_;
  const SameAt& same_;
  std::vector<Place> places_;
  size_t symbols_ = 0;
};

}  // namespace

FreeSizes free_sizes(const std::vector<Spec>& specs, const Tokens& graph, const TraceAt& trace,
                     const SameAt& same) {
  return Finder(specs, graph, trace, same)();
}

}  // namespace lazulite

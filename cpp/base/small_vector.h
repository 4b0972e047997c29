// A vector that keeps a few elements in place: shapes, strides and inputs make no allocation.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace lazulite {

template <class T, uint32_t N = 4>
class SmallVector {
 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  SmallVector() {}
  explicit SmallVector(size_t n, const T& value = T()) { resize(n, value); }
  SmallVector(std::initializer_list<T> items) { append(items.begin(), items.end()); }
  template <class It, class = typename std::iterator_traits<It>::iterator_category>
  SmallVector(It first, It last) { append(first, last); }
  SmallVector(const std::vector<T>& v) { append(v.begin(), v.end()); }
  SmallVector(const SmallVector& o) { append(o.begin(), o.end()); }
  SmallVector(SmallVector&& o) noexcept { take(std::move(o)); }
  SmallVector& operator=(const SmallVector& o) {
    if (this != &o) {
      clear();
      append(o.begin(), o.end());
    }
    return *this;
  }
  SmallVector& operator=(SmallVector&& o) noexcept {
    if (this != &o) {
      wipe();
      take(std::move(o));
    }
    return *this;
  }
  ~SmallVector() { wipe(); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return heap_ ? heap_ : place(); }
  const T* data() const { return heap_ ? heap_ : const_cast<SmallVector*>(this)->place(); }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  auto rbegin() const { return std::make_reverse_iterator(end()); }
  auto rend() const { return std::make_reverse_iterator(begin()); }
  T& operator[](size_t i) { return data()[i]; }
  const T& operator[](size_t i) const { return data()[i]; }
  T& front() { return data()[0]; }
  const T& front() const { return data()[0]; }
  T& back() { return data()[size_ - 1]; }
  const T& back() const { return data()[size_ - 1]; }

  void push_back(T value) { emplace_back(std::move(value)); }
  template <class... A>
  T& emplace_back(A&&... a) {
    if (size_ == capacity_) grow(size_ + 1);
    T* p = new (data() + size_) T(std::forward<A>(a)...);
    ++size_;
    return *p;
  }
  void pop_back() {
    data()[--size_].~T();
  }
  void clear() {
    std::destroy(begin(), end());
    size_ = 0;
  }
  void reserve(size_t n) {
    if (n > capacity_) grow(n);
  }
  void resize(size_t n, const T& value = T()) {
    reserve(n);
    while (size_ > n) pop_back();
    while (size_ < n) emplace_back(value);
  }
  template <class It>
  void append(It first, It last) {
    if constexpr (std::is_trivially_copyable_v<T> && std::is_pointer_v<It> &&
                  std::is_same_v<std::remove_cv_t<std::remove_pointer_t<It>>, T>) {
      const size_t n = size_t(last - first);
      reserve(size_ + n);
      T* to = data() + size_;
      for (size_t i = 0; i < n; ++i) to[i] = first[i];
      size_ += uint32_t(n);
    } else {
      for (; first != last; ++first) emplace_back(*first);
    }
  }
  T* insert(const T* at, T value) {
    const size_t i = at - begin();
    emplace_back(std::move(value));
    std::rotate(begin() + i, end() - 1, end());
    return begin() + i;
  }
  T* erase(const T* at) {
    const size_t i = at - begin();
    std::move(begin() + i + 1, end(), begin() + i);
    pop_back();
    return begin() + i;
  }
  bool operator==(const SmallVector& o) const {
    return size_ == o.size_ && std::equal(begin(), end(), o.begin());
  }

 private:
  T* place() { return std::launder(reinterpret_cast<T*>(room_)); }
  void grow(size_t least) {
    const size_t n = std::max<size_t>(least, capacity_ * 2);
    T* fresh = static_cast<T*>(::operator new(n * sizeof(T)));
    std::uninitialized_move(begin(), end(), fresh);
    std::destroy(begin(), end());
    ::operator delete(heap_);
    heap_ = fresh;
    capacity_ = uint32_t(n);
  }
  void wipe() {
    clear();
    if (heap_) {
      ::operator delete(heap_);
      heap_ = nullptr;
      capacity_ = N;
    }
  }
  void take(SmallVector&& o) {
    if (o.heap_) {
      heap_ = std::exchange(o.heap_, nullptr);
      capacity_ = std::exchange(o.capacity_, N);
      size_ = std::exchange(o.size_, 0);
    } else if constexpr (std::is_trivially_copyable_v<T>) {
      for (uint32_t i = 0; i < o.size_; ++i) place()[i] = o.place()[i];
      size_ = std::exchange(o.size_, 0);
    } else {
      std::uninitialized_move(o.begin(), o.end(), place());
      size_ = o.size_;
      o.clear();
    }
  }

  T* heap_ = nullptr;
  uint32_t size_ = 0, capacity_ = N;
  alignas(T) unsigned char room_[N * sizeof(T)];
};

}  // namespace lazulite

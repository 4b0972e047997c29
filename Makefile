# make demo: builds the library and fits a model with it
# make test: builds everything and runs the tests
# make ci:   clang with warnings as errors, and another CMake project that uses the installed library
BUILD := build/release
PACKAGES := g++ cmake ninja-build ccache libgtest-dev python3
CI_PACKAGES := clang
CONFIGURE := cmake -G Ninja

.PHONY: demo test ci system clean

demo: system
	$(CONFIGURE) -S . -B $(BUILD) -DLAZULITE_TESTS=ON > /dev/null
	cmake --build $(BUILD) --target lazulite_core
	cmake --install $(BUILD) --prefix build/prefix > /dev/null
	$(CONFIGURE) -S examples/cpp -B build/example -DCMAKE_PREFIX_PATH=$(CURDIR)/build/prefix > /dev/null
	cmake --build build/example
	build/example/regression

test: system
	$(CONFIGURE) -S . -B $(BUILD) -DLAZULITE_TESTS=ON > /dev/null
	cmake --build $(BUILD)
	ctest --test-dir $(BUILD) --output-on-failure

ci: demo
	@tools/need_packages.sh $(CI_PACKAGES)
	$(CONFIGURE) -S . -B build/clang -DCMAKE_CXX_COMPILER=clang++ -DLAZULITE_TESTS=ON -DLAZULITE_WERROR=ON > /dev/null
	cmake --build build/clang
	ctest --test-dir build/clang --output-on-failure

system:
	@tools/need_packages.sh $(PACKAGES)

clean:
	rm -rf build

# Each check is one line a person can run at home; `.ci/run` runs them all.

# What a pull request has to pass.
all: fmt clippy test features docs examples python-clients benches loom

fmt:
    cargo fmt --check

clippy:
    cargo clippy --all-targets --all-features -- -D warnings

test:
    cargo test
    cargo test --all-features

# Every feature alone, and none.
features:
    cargo hack check --each-feature --no-dev-deps
    cargo hack test --doc --each-feature --skip default,examples --exclude-all-features --exclude-no-default-features

docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --all-features --no-deps

examples:
    cargo run --example quickstart
    cargo run --example custom_rule
    cargo run --example async_openai --features examples
    cargo run --example hyper --features examples
    cargo run --example reqwest --features examples

# The Python clients of OpenAI and Anthropic, pointed at the gateway.
python-clients:
    bash scripts/python-clients.sh

# Compiles the benchmarks and runs each for a moment.
benches:
    cargo bench --features cli -- --quick

# Every interleaving of the store's operations.
loom:
    RUSTFLAGS="--cfg loom" cargo test --release --target-dir target/loom --test loom

# The oldest Rust that is promised.
msrv:
    cargo +1.89 check

# Before a release.
release: all
    cargo deny check
    cargo semver-checks

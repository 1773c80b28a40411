//! What time it is. WebAssembly in a browser has no clock of its own, and the standard library's panics there.

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub(crate) use std::time::Instant;

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub(crate) use without_clock::Instant;

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod without_clock {
    use std::ops::Sub;
    use std::time::Duration;

    /// A moment like any other: no time passes.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Instant;

    impl Instant {
        pub(crate) const fn now() -> Self {
            Self
        }

        pub(crate) const fn elapsed(self) -> Duration {
            Duration::ZERO
        }
    }

    impl Sub for Instant {
        type Output = Duration;

        fn sub(self, _: Self) -> Duration {
            Duration::ZERO
        }
    }
}

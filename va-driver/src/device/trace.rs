//! Requests in the log, for those who ask for them.

use std::sync::atomic::{AtomicU64, Ordering};

use daedalus_uapi::{DecodeRequest, record::Record};

/// The log target: `DAEDALUS_LOG=requests=trace` logs one [`Record`] per request and nothing else.
const TARGET: &str = "requests";

/// A number that tells a stream from all others in this process.
pub(crate) fn session() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Logs a request that is about to go to the device; costs nothing unless it was asked for.
pub(crate) fn request<T>(session: u64, request: &DecodeRequest<T>) {
    if log::log_enabled!(target: TARGET, log::Level::Trace) {
        log::trace!(target: TARGET, "{}", Record::of(session, request).to_json());
    }
}

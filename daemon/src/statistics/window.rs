//! The last seconds of a session, a slot for each.

/// Seconds that are looked at, the one that has just begun included.
const SECONDS: u64 = 5;

const SECOND: u64 = 1_000_000;

/// What was answered lately.
#[derive(Debug, Default)]
pub(super) struct Window([Slot; SECONDS as usize]);

/// Times are in microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    second: u64,
    count: u64,
    busy: u64,
    longest_busy: u64,
    latency: u64,
    longest_latency: u64,
}

/// All slots together; times are in microseconds, but for `seconds`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Lately {
    pub seconds: f64,
    pub count: u64,
    pub busy: u64,
    pub longest_busy: u64,
    pub latency: u64,
    pub longest_latency: u64,
}

impl Window {
    /// An answer at `now`, for which there was something to decode in `busy`, and which took `latency` in all.
    pub fn add(&mut self, now: u64, busy: u64, latency: u64) {
        let second = now / SECOND;
        let slot = &mut self.0[(second % SECONDS) as usize];
        if slot.second != second {
            *slot = Slot { second, ..Slot::default() };
        }
        slot.count += 1;
        slot.busy += busy;
        slot.longest_busy = slot.longest_busy.max(busy);
        slot.latency += latency;
        slot.longest_latency = slot.longest_latency.max(latency);
    }

    /// What there was up to `now` in a session that began at `began`.
    pub fn read(&self, now: u64, began: u64) -> Lately {
        let second = now / SECOND;
        let first = (second + 1).saturating_sub(SECONDS);
        let span = now.saturating_sub(began.max(first * SECOND));
        // What has only just begun has no rate that would mean something.
        let mut lately = Lately { seconds: (span as f64 / 1e6).max(0.1), ..Lately::default() };
        for slot in self.0.iter().filter(|slot| (first..=second).contains(&slot.second)) {
            lately.count += slot.count;
            lately.busy += slot.busy;
            lately.latency += slot.latency;
            lately.longest_busy = lately.longest_busy.max(slot.longest_busy);
            lately.longest_latency = lately.longest_latency.max(slot.longest_latency);
        }
        lately
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_the_last_seconds_and_no_more() {
        let mut window = Window::default();
        // 20 ms in each of ten seconds, and once 40 ms.
        for second in 0..10 {
            window.add(second * SECOND + 1, 20_000, 30_000);
            if second == 7 {
                window.add(second * SECOND + 2, 40_000, 50_000);
            }
        }
        let lately = window.read(9 * SECOND + SECOND / 2, 0);
        let expected = Lately {
            seconds: 4.5,
            count: 6,
            busy: 5 * 20_000 + 40_000,
            longest_busy: 40_000,
            latency: 5 * 30_000 + 50_000,
            longest_latency: 50_000,
        };
        assert_eq!(lately, expected);
        // All of that is over.
        assert_eq!(window.read(20 * SECOND, 0).count, 0);
        // A session that is not as old as the window.
        assert_eq!(window.read(9 * SECOND + SECOND / 2, 8 * SECOND).seconds, 1.5);
    }
}

//! How far a long run is, and at once whatever is not as hoped.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// A run of so many pieces.
pub struct Progress {
    done: usize,
    total: usize,
    terminal: bool,
    said: Instant,
}

impl Progress {
    /// Nothing is done yet.
    pub fn new(total: usize) -> Self {
        Self { done: 0, total, terminal: std::io::stderr().is_terminal(), said: Instant::now() }
    }

    /// One more is done; `news` is what a person should see of it now.
    pub fn saw(&mut self, news: Option<&str>) {
        self.done += 1;
        if let Some(line) = news {
            let clear = if self.terminal { "\r\x1b[K" } else { "" };
            eprintln!("{clear}{line}");
        }
        let (done, total) = (self.done, self.total);
        if self.terminal {
            eprint!("\r\x1b[K{done} of {total}");
            // Cosmetic: a terminal that is gone gets no progress.
            let _ = std::io::stderr().flush();
            if done == total {
                eprintln!();
            }
        } else if self.said.elapsed() >= Duration::from_secs(15) || done == total {
            eprintln!("x: {done} of {total}");
            self.said = Instant::now();
        }
    }
}

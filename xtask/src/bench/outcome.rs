//! What one run of one program gave, and what the client of `tests/bench` prints.

use daedalus_tests::driver;
use daedalus_tests::proc::Used;
use daedalus_tests::process::Finished;

/// One run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Run {
    /// Frames whose pixels exist.
    pub frames: u64,
    /// From the start of decoding until the last frame's pixels existed.
    pub seconds: f64,
    /// Seconds of processor time of the whole program, and of the daemon for it.
    pub processor: f64,
    /// The program's peak of resident memory, in KiB.
    pub peak: u64,
    /// The daemon's, if there is one.
    pub daemon_peak: Option<u64>,
}

impl Run {
    /// A program's run; `daemon` is what the daemon used in that time.
    pub fn new(frames: u64, seconds: f64, done: &Finished, daemon: Option<Used>) -> Self {
        let daemons = daemon.map_or(0.0, |used| used.processor);
        Self {
            frames,
            seconds: seconds.max(1e-6),
            processor: done.usage.processor.as_secs_f64() + daemons,
            peak: done.usage.peak,
            daemon_peak: daemon.map(|used| used.peak),
        }
    }

    /// Frames per second.
    pub fn fps(&self) -> f64 {
        self.frames as f64 / self.seconds
    }

    /// Milliseconds of processor time per frame.
    pub fn cost(&self) -> f64 {
        self.processor * 1e3 / self.frames as f64
    }
}

/// What the client printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// The VA driver.
    pub vendor: Option<String>,
    /// Microseconds per packet.
    pub latencies: Vec<f64>,
    /// Pictures so far, and KiB resident then.
    pub memory: Vec<(u64, u64)>,
    /// Of each session: pictures, seconds, pictures when the first session ended.
    pub sessions: Vec<(u64, f64, u64)>,
    /// All surfaces.
    pub surfaces: u64,
    /// Bytes of them that are in memory.
    pub surface_bytes: u64,
    /// KiB with all sessions open.
    pub resident: u64,
    /// Of all sessions.
    pub seconds: f64,
}

impl Said {
    /// Reads it; an error names the line that is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut said = Self::default();
        for line in text.lines() {
            said.line(line).ok_or_else(|| format!("the client says {line:?}"))?;
        }
        if said.sessions.is_empty() || said.seconds <= 0.0 {
            return Err("the client does not say how long it took".into());
        }
        Ok(said)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ')?;
        let mut values = rest.split_whitespace();
        let mut next = || values.next();
        match word {
            "vendor" => self.vendor = Some(rest.to_owned()),
            "latency" => self.latencies.push(next()?.parse().ok()?),
            "memory" => self.memory.push((next()?.parse().ok()?, next()?.parse().ok()?)),
            "session" => {
                let session = (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
                self.sessions.push(session);
            }
            "surfaces" => {
                self.surfaces = next()?.parse().ok()?;
                self.surface_bytes = next()?.parse().ok()?;
            }
            "resident" => self.resident = next()?.parse().ok()?,
            "peak" => {}
            "seconds" => self.seconds = next()?.parse().ok()?,
            _ => return None,
        }
        Some(())
    }

    /// Whether all that was asked for was decoded, and by whom it should be.
    pub fn check(&self, frames: u64, through_va: bool) -> Result<(), String> {
        let ours = self.vendor.as_ref().is_some_and(|vendor| vendor.contains(driver::VENDOR));
        if ours != through_va {
            return Err(format!("the client decoded with {:?}", self.vendor));
        }
        match self.sessions.iter().find(|(done, ..)| *done != frames) {
            Some((done, ..)) => Err(format!("{done} frames came, not {frames}")),
            None => Ok(()),
        }
    }

    /// Pictures of the slowest session for each of the fastest, while all were at work.
    pub fn fairness(&self) -> f64 {
        let counts = || self.sessions.iter().map(|(_, _, at_first_end)| *at_first_end as f64);
        counts().fold(f64::INFINITY, f64::min) / counts().fold(1.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "vendor Daedalus stateless decoder 0.1.0\nlatency 5538.1\nlatency 90\n\
        memory 60 134064\nresident 456696\npeak 456700\nsession 60 2.316263 45\n\
        session 60 2.286285 60\nsurfaces 28 87736320\nseconds 2.316263\n";

    #[test]
    fn what_the_client_says_is_understood() {
        let said = Said::parse(TEXT).unwrap();
        assert_eq!(said.latencies, [5538.1, 90.0]);
        assert_eq!(said.memory, [(60, 134064)]);
        assert_eq!(said.sessions[0], (60, 2.316263, 45));
        assert_eq!((said.surfaces, said.surface_bytes, said.resident), (28, 87736320, 456696));
        assert_eq!(said.fairness(), 0.75);
    }

    #[test]
    fn half_a_report_is_none() {
        assert!(Said::parse("latency 7\n").is_err());
        assert!(Said::parse(&TEXT.replace("latency 90", "latency ?")).is_err());
    }

    #[test]
    fn software_is_not_taken_for_the_driver() {
        let said = Said::parse(TEXT).unwrap();
        assert_eq!(said.check(60, true), Ok(()));
        assert!(said.check(61, true).is_err());
        assert!(said.check(60, false).is_err());
        let software = Said { vendor: None, ..said.clone() };
        assert!(software.check(60, true).is_err());
        assert_eq!(software.check(60, false), Ok(()));
        let other = Said { vendor: Some("Somebody's driver".into()), ..said };
        assert!(other.check(60, true).is_err());
    }

    #[test]
    fn figures_are_per_frame() {
        let run = Run { frames: 100, seconds: 2.0, processor: 3.0, ..Run::default() };
        assert_eq!((run.fps(), run.cost()), (50.0, 30.0));
    }
}

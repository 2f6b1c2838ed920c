//! What processes and the kernel hold at a moment, and whether it becomes more.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::kernel::{Daemon, Statistics, dma_bufs};
use crate::proc::{field, resident};

/// What may come and go without meaning anything: KiB of heaps, and things that sessions have open.
const MEMORY_SLACK: f64 = 8192.0;
const COUNT_SLACK: f64 = 16.0;

/// In windows of so many seconds memory may come and go by twice as much, in shorter ones by more: sessions of other
/// sizes and codecs are open then. One of 1080p has 30 to 60 MiB.
const SETTLING: f64 = 40.0;

/// The columns of a sample, whether each is memory in KiB, and whether only the kernel's device has it.
const COLUMNS: [(&str, bool, bool); 9] = [
    ("client_rss_kib", true, false),
    ("client_fds", false, false),
    ("client_threads", false, false),
    ("daemon_rss_kib", true, true),
    ("daemon_fds", false, true),
    ("daemon_threads", false, true),
    ("kernel_buffers", false, true),
    ("kernel_dma_bufs", false, true),
    ("kernel_slab_kib", true, true),
];

/// One moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    seconds: f64,
    /// As [`COLUMNS`]; 0 for what there is not.
    values: [f64; COLUMNS.len()],
}

impl Sample {
    /// Asks for everything now.
    pub fn take(at: Duration, client: u32, daemon: Option<&Daemon>) -> Result<Sample, String> {
        let mut values = [0.0; COLUMNS.len()];
        values[..3].copy_from_slice(&process(client)?);
        if let Some(daemon) = daemon {
            values[3..6].copy_from_slice(&process(daemon.id())?);
            values[6] = Statistics::read()?.buffers as f64;
            values[7] = dma_bufs()? as f64;
            values[8] = field("/proc/meminfo", "Slab:")?;
        }
        Ok(Sample { seconds: at.as_secs_f64(), values })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} s:", self.seconds)?;
        for ((name, ..), value) in COLUMNS.iter().zip(self.values) {
            if value != 0.0 {
                write!(f, " {name} {value:.0}")?;
            }
        }
        Ok(())
    }
}

/// Resident KiB, open descriptors, threads.
fn process(id: u32) -> Result<[f64; 3], String> {
    let count = |what: &str| {
        let folder = format!("/proc/{id}/{what}");
        fs::read_dir(&folder).map(|all| all.count() as f64).map_err(|e| format!("{folder}: {e}"))
    };
    Ok([resident(id)?, count("fd")?, count("task")?])
}

/// All samples of a run, also in a file.
pub struct Series {
    path: PathBuf,
    file: File,
    with_daemon: bool,
    samples: Vec<Sample>,
}

impl Series {
    pub fn create(path: &Path, with_daemon: bool) -> Result<Series, String> {
        let file = File::create(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut series = Series { path: path.to_owned(), file, with_daemon, samples: Vec::new() };
        let names: Vec<_> = series.columns().map(|(_, (name, ..))| *name).collect();
        series.write(&format!("seconds,{}\n", names.join(",")))?;
        Ok(series)
    }

    fn columns(
        &self,
    ) -> impl Iterator<Item = (usize, &'static (&'static str, bool, bool))> + use<> {
        let with_daemon = self.with_daemon;
        COLUMNS.iter().enumerate().filter(move |(_, (.., of_kernel))| with_daemon || !of_kernel)
    }

    pub fn add(&mut self, sample: Sample) -> Result<(), String> {
        let values = self.columns().map(|(at, _)| format!(",{:.0}", sample.values[at]));
        let line = format!("{:.1}{}\n", sample.seconds, values.collect::<String>());
        self.samples.push(sample);
        self.write(&line)
    }

    fn write(&mut self, text: &str) -> Result<(), String> {
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|e| format!("{}: {e}", self.path.display()))
    }

    /// Compares the last third of each column with the second, by what is exceeded nine times out of ten.
    pub fn judge(&self) -> Result<Vec<Verdict>, String> {
        let count = self.samples.len();
        if count < 9 {
            return Err(format!("{count} samples say nothing: it was too short"));
        }
        let (middle, last) =
            (&self.samples[count / 3..count * 2 / 3], &self.samples[count * 2 / 3..]);
        // In a window of seconds not every kind of session ends even once.
        let seconds = last[last.len() - 1].seconds - last[0].seconds;
        let memory_slack = MEMORY_SLACK * (1.0 + SETTLING / seconds.max(1.0));
        let verdict = |(at, (name, is_memory, _)): (usize, &(&'static str, bool, bool))| Verdict {
            name,
            before: low(middle.iter().map(|sample| sample.values[at])),
            after: low(last.iter().map(|sample| sample.values[at])),
            slack: if *is_memory { memory_slack } else { COUNT_SLACK },
        };
        Ok(self.columns().map(verdict).collect())
    }
}

/// What is exceeded nine times out of ten. What leaks raises it as much as anything, and what happens to be open at
/// the moment does not: of windows of ten seconds of five minutes that were flat, one in sixteen had a median that was
/// 8 MiB higher than the one before it, and none such a low.
fn low(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 10).copied().unwrap_or_default()
}

/// Whether one of the columns stays as it is.
#[derive(Debug, PartialEq)]
pub struct Verdict {
    name: &'static str,
    before: f64,
    after: f64,
    slack: f64,
}

impl Verdict {
    /// It does not become more.
    pub fn is_flat(&self) -> bool {
        self.after <= self.before * 1.02 + self.slack
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { name, before, after, .. } = self;
        let word = if self.is_flat() { "flat" } else { "GROWS" };
        write!(f, "{name}: {before:.0} in the second third, {after:.0} in the last: {word}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(interval: f64, rss: impl Fn(usize) -> f64) -> Series {
        let folder = std::env::temp_dir().join(format!("daedalus-soak-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut series = Series::create(&folder.join("soak.csv"), false).unwrap();
        for at in 0..30 {
            let mut values = [5.0; COLUMNS.len()];
            values[0] = rss(at);
            series.add(Sample { seconds: at as f64 * interval, values }).unwrap();
        }
        series
    }

    #[test]
    fn what_grows_is_told_from_what_goes_up_and_down() {
        let wave = series(1.0, |at| 100_000.0 + 20_000.0 * (at % 4) as f64);
        assert!(wave.judge().unwrap().iter().all(Verdict::is_flat));
        // So much in half a minute says nothing, in ten of them it does; more says something at once.
        let slope = |each: f64| move |at| 100_000.0 + each * at as f64;
        assert!(series(1.0, slope(2_000.0)).judge().unwrap().iter().all(Verdict::is_flat));
        assert!(!series(10.0, slope(2_000.0)).judge().unwrap().iter().all(Verdict::is_flat));
        let leak = series(1.0, slope(10_000.0));
        let bad: Vec<_> = leak.judge().unwrap().into_iter().filter(|v| !v.is_flat()).collect();
        assert_eq!(bad.len(), 1);
        assert_eq!(bad[0].name, "client_rss_kib");
        // What is not there without a daemon is not in the file either.
        let text = fs::read_to_string(&leak.path).unwrap();
        assert!(
            text.starts_with("seconds,client_rss_kib,client_fds,client_threads\n0.0,100000,5,5\n")
        );
    }

    #[test]
    fn this_process_can_be_sampled() {
        let sample = Sample::take(Duration::ZERO, std::process::id(), None).unwrap();
        assert!(sample.values[0] > 100.0 && sample.values[1] >= 3.0 && sample.values[2] >= 1.0);
        assert!(Sample::take(Duration::ZERO, u32::MAX, None).is_err());
    }
}

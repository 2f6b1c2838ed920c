//! What libFuzzer says of its progress.

/// The state of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Inputs tried.
    pub executions: u64,
    /// Edges of the project's code that were reached, and all that there are.
    pub edges: u64,
    /// See `edges`.
    pub all_edges: u64,
    /// Edges by how often they were passed, and comparisons: what an input is kept for.
    pub features: u64,
    /// Inputs kept.
    pub corpus: u64,
    /// In one line, what was found.
    pub summary: Option<String>,
    /// The input that showed it.
    pub artifact: Option<String>,
}

impl Status {
    /// Reads a line of its log.
    pub fn read(&mut self, line: &str) {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix('#') {
            self.progress(rest);
        } else if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            self.executions = count.trim().parse().unwrap_or(self.executions);
        } else if let Some((_, counters)) = line.split_once(" modules   (") {
            let count = counters.split_whitespace().next().and_then(|count| count.parse().ok());
            self.all_edges = count.unwrap_or(self.all_edges);
        } else if let Some(what) = line.strip_prefix("SUMMARY: ") {
            self.summary.get_or_insert_with(|| what.to_owned());
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.artifact = Some(path.to_owned());
        } else if line.contains("panicked at") {
            self.summary = Some(line.to_owned());
        }
    }

    /// `12345 NEW    cov: 100 ft: 200 corp: 7/999b exec/s: 4 rss: 40Mb`.
    fn progress(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let Some(Ok(executions)) = words.next().map(str::parse) else { return };
        self.executions = executions;
        while let Some(word) = words.next() {
            let place = match word {
                "cov:" => &mut self.edges,
                "ft:" => &mut self.features,
                "corp:" => &mut self.corpus,
                _ => continue,
            };
            let number = words.next().and_then(|value| value.split('/').next()?.parse().ok());
            *place = number.unwrap_or(*place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn libfuzzers_log_is_understood() {
        let mut status = Status::default();
        for line in [
            "INFO: Loaded 1 modules   (6789 inline 8-bit counters): 6789 [0x1, 0x2), ",
            "#2	INITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 30Mb",
            "#12345	NEW    cov: 100 ft: 200 corp: 7/999b lim: 4 exec/s: 4 rss: 40Mb L: 3/4 MS: 1",
            "stat::number_of_executed_units: 20000",
            "SUMMARY: AddressSanitizer: heap-buffer-overflow src/lib.rs:7 in f",
            "artifact_prefix='/a/'; Test unit written to /a/crash-77",
        ] {
            status.read(line);
        }
        let expected = Status {
            executions: 20000,
            edges: 100,
            all_edges: 6789,
            features: 200,
            corpus: 7,
            summary: Some("AddressSanitizer: heap-buffer-overflow src/lib.rs:7 in f".into()),
            artifact: Some("/a/crash-77".into()),
        };
        assert_eq!(status, expected);
    }
}

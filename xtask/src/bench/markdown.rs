//! The report as tables.

use super::report::{Report, Row};
use super::stats::Summary;

/// Headings of the tables, by [`Row::measure`], and what their columns mean.
const TABLES: [(&str, &str, &str); 6] = [
    (
        "throughput",
        "Throughput",
        "Frames per second through `ffmpeg -hwaccel vaapi`, against ffmpeg's software decoding to NV12 or P010 \
         with as many threads. `surfaces`: only the last four frames are downloaded, and the clock stops when they are \
         there; `hwdownload`: every frame is.",
    ),
    (
        "cost",
        "Processor time",
        "User and system time of the whole process (and of the daemon for it) per frame kept in its surface, \
         against software decoding to NV12 or P010 with one thread.",
    ),
    (
        "latency",
        "Latency",
        "One packet is sent, then its picture is waited for, in decode order. Against the same client in \
         software with one thread, converting to NV12 or P010; without that conversion: \"planar\".",
    ),
    (
        "sessions",
        "Sessions",
        "Frames per second of several sessions of one process together, against one session. Fairness: \
         frames of the slowest for each of the fastest, when the first has ended.",
    ),
    (
        "size",
        "Size",
        "Processor time per pixel, frames kept in surfaces, against software with as many threads.",
    ),
    (
        "memory",
        "Memory",
        "`peak`: the most that is resident, against software; `growth`: how much more is resident at the end \
         of a long stream than after its first tenth.",
    ),
];

/// What is said above a table of the kernel's device.
const GUEST: &str = "Both sides in user-mode Linux, which has one processor; system calls and new pages cost many \
     times what they do elsewhere, so compare with nothing outside. Surfaces are dma-bufs, which no process's \
     resident memory includes.\n\n";

const HEADER: [&str; 7] =
    ["stream", "Daedalus", "reference", "ratio", "wanted", "result", "further"];

/// The whole report.
pub fn render(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "# Measurements\n\n\
         Commit {}, {} with {} cores, Linux {}, {}. {} threads, {} pairs of runs per row{}.\n\
         Load averages: {} at the start, {} at the end{}.\n\n\
         Figures are medians, in parentheses the quartiles; ratios are taken pair by pair.\n",
        machine.commit,
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.ffmpeg,
        report.threads,
        report.pairs,
        if report.quick { " (quick: no more than a smoke test)" } else { "" },
        report.load[0],
        report.load[1],
        if is_busy(&report.load[0]) {
            ": **the machine had other work, so timings are worth little**"
        } else {
            ""
        },
    );
    for (measure, heading, explanation) in TABLES {
        for transport in ["embedded", "kernel"] {
            let is_here = |row: &&Row| row.measure == measure && row.transport == transport;
            let rows: Vec<&Row> = report.rows.iter().filter(is_here).collect();
            if !rows.is_empty() {
                text.push_str(&format!("\n## {heading} ({transport})\n\n{explanation}\n\n"));
                if transport == "kernel" {
                    text.push_str(GUEST);
                }
                text.push_str(&table(&rows));
            }
        }
    }
    let (met, all) = report.targets();
    text.push_str(&format!(
        "\n{met} of {all} targets met, {} failed.\n",
        count(report.failures(), "row")
    ));
    text
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Whether something else ran while nothing of ours did.
pub fn is_busy(load: &str) -> bool {
    load.split_whitespace()
        .next()
        .and_then(|first| first.parse().ok())
        .is_some_and(|l: f64| l > 0.5)
}

fn table(rows: &[&Row]) -> String {
    let cells: Vec<Vec<String>> = std::iter::once(HEADER.map(String::from).to_vec())
        .chain(rows.iter().map(|row| cells(row)))
        .collect();
    let mut text = String::new();
    for (number, row) in cells.iter().enumerate() {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
        if number == 0 {
            text.push_str(&format!("|{}\n", " --- |".repeat(HEADER.len())));
        }
    }
    // Said once for all rows that it is true of.
    let mut notes: Vec<(String, Vec<&str>)> = Vec::new();
    for (note, row) in rows.iter().filter_map(|row| Some((remark(row)?, row))) {
        match notes.iter_mut().find(|(other, _)| *other == note) {
            Some((_, names)) => names.push(&row.name),
            None => notes.push((note, vec![&row.name])),
        }
    }
    if !notes.is_empty() {
        text.push('\n');
    }
    text.extend(notes.iter().map(|(note, names)| format!("* {}: {note}\n", names.join(", "))));
    text
}

/// What is said of a row below its table.
fn remark(row: &Row) -> Option<String> {
    match &row.failure {
        // Logs have several lines; a list has one per item.
        Some(why) => Some(format!("**failed**: {}", one_line(why))),
        None if row.note.is_empty() => None,
        None => Some(row.note.clone()),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The cells of a row, as people read them.
fn cells(row: &Row) -> Vec<String> {
    let name = if row.title.is_empty() {
        row.name.clone()
    } else {
        format!("{}: {}", row.name, row.title)
    };
    if row.failure.is_some() {
        let mut cells = vec![name];
        cells.extend(["-", "-", "-", "-", "failed", ""].map(String::from));
        return cells;
    }
    let figure = |summary: &Option<Summary>, unit: &str| {
        summary.as_ref().map_or("-".into(), |summary| format!("{}{unit}", number(summary.median)))
    };
    let unit = format!(" {}", row.unit);
    let wanted: Vec<String> = row
        .targets
        .iter()
        .map(|target| {
            let what =
                if target.what == "ratio" { String::new() } else { format!("{} ", target.what) };
            format!("{what}{} {}", target.bound.sign(), number(target.limit))
        })
        .collect();
    let result: Vec<String> = row
        .targets
        .iter()
        .map(|target| {
            let word = if target.met { "PASS" } else { "FAIL" };
            if target.what == "ratio" {
                word.into()
            } else {
                format!("{word} ({})", number(target.figure))
            }
        })
        .collect();
    let ratio = row.ratio.as_ref().map_or("-".into(), |ratio| {
        format!("{:.3} ({:.3} to {:.3})", ratio.median, ratio.lower_quartile, ratio.upper_quartile)
    });
    let details: Vec<String> =
        row.details.iter().map(|(name, value)| format!("{name} {}", number(*value))).collect();
    vec![
        name,
        figure(&row.ours, &unit),
        figure(&row.reference, &unit),
        ratio,
        wanted.join("; "),
        result.join("; "),
        details.join(", "),
    ]
}

/// Three digits that matter, or all before the point.
fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 || value == value.trunc() => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// One line for a row that has just been measured.
pub fn summary(row: &Row) -> String {
    if let Some(why) = &row.failure {
        return format!("failed: {why}");
    }
    let cells = cells(row);
    let said = [(1, ""), (2, "reference "), (3, "ratio "), (5, "")];
    let said: Vec<String> = said
        .iter()
        .filter(|(index, _)| !["", "-"].contains(&cells[*index].as_str()))
        .map(|(index, before)| format!("{before}{}", cells[*index]))
        .collect();
    said.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;

    #[test]
    fn a_report_has_a_table_per_measure() {
        let text = render(&sample());
        let row = "| h264/surfaces: H.264, 1920x1080, 240 frames | 93 fps | 100 fps \
                   | 0.930 (0.915 to 0.945) | ≥ 0.97 | FAIL | peak MiB 12.5 |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("## Throughput (embedded)"), "{text}");
        assert!(text.contains("## Latency (kernel)\n\nOne packet"), "{text}");
        assert!(text.contains("| av1 | - | - | - | - | failed |  |"), "{text}");
        assert!(text.contains("* av1: **failed**: ffmpeg ended with exit status: 1\n"), "{text}");
        assert!(text.contains("0 of 1 targets met, 1 row failed."), "{text}");
    }

    #[test]
    fn numbers_have_what_matters() {
        let said = [1234.5, 60.0, 12.345, 0.9712, -50.4].map(number);
        assert_eq!(said, ["1234", "60", "12.3", "0.97", "-50.4"]);
    }

    #[test]
    fn a_busy_machine_is_noticed() {
        assert!(is_busy("2.95 1.92 1.69"));
        assert!(!is_busy("0.10 1.92 1.69"));
        assert!(!is_busy(""));
    }

    #[test]
    fn a_row_fits_in_a_line() {
        let report = sample();
        assert_eq!(
            summary(&report.rows[0]),
            "93 fps, reference 100 fps, ratio 0.930 (0.915 to 0.945), FAIL"
        );
        assert!(summary(&report.rows[1]).starts_with("failed: ffmpeg"));
    }
}

//! The table: what stands in it, as text and on a terminal. It has no colours.

use daedalus_uapi::control::{Session, Status};
use nix::unistd::Uid;
use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    style::{Modifier, Style},
    text::Text,
    widgets::{Paragraph, Row, Table, Wrap},
};

use crate::{look, program};

/// Name and width of each column; those of numbers are to the right. The first eight fit into the 80 columns that many
/// terminals have: whose a session is, and whether it is fast enough.
const COLUMNS: [(&str, usize, bool); 12] = [
    ("SESSION", 7, true),
    ("CLIENT", 22, false),
    ("USER", 8, false),
    ("CODEC", 5, false),
    ("FPS", 6, true),
    ("DECODE ms", 11, true),
    ("BUSY", 5, true),
    ("QUEUE", 5, true),
    ("FAILED", 6, true),
    ("SIZE", 11, false),
    ("BITS", 4, true),
    ("PICTURES", 9, true),
];

/// What is shown.
pub struct View {
    head: Vec<String>,
    rows: Vec<[String; COLUMNS.len()]>,
    used: Option<Used>,
}

/// Processor time and uptime in seconds, and whose: of which daemon.
pub type Used = (u32, f64, f64);

impl View {
    /// Of what the daemon said, or why it did not. `before` is what the daemon had used in the view before.
    pub fn new(status: Result<Status, String>, before: Option<Used>) -> View {
        let status = match status {
            Ok(status) => status,
            Err(why) => {
                return View { head: vec![program::harmless(&why)], rows: Vec::new(), used: None };
            }
        };
        let used = (status.pid, status.cpu_s, status.uptime_s);
        let before = before.filter(|(pid, ..)| *pid == status.pid);
        // The first time, since it started.
        let (_, cpu, uptime) = before.unwrap_or((status.pid, 0.0, 0.0));
        let processors = (status.cpu_s - cpu).max(0.0) / (status.uptime_s - uptime).max(0.001);
        let pictures = status.total.pictures;
        let head = vec![
            format!(
                "daedalusd {}, process {}, up {}; {} sessions, {} ever; CPU {:.0} %{}",
                program::harmless(&status.version),
                status.pid,
                duration(status.uptime_s),
                status.sessions.len(),
                status.total.sessions,
                100.0 * processors,
                if before.is_none() { " since it started" } else { "" }
            ),
            format!(
                "pictures: {} done, {} damaged, {} failed, {} taken back",
                pictures.done, pictures.damaged, pictures.failed, pictures.cancelled
            ),
        ];
        let rows = status.sessions.iter().map(row).collect();
        View { head, rows, used: Some(used) }
    }

    /// What the daemon has used, if there is one.
    pub fn used(&self) -> Option<Used> {
        self.used
    }

    /// As lines.
    pub fn text(&self) -> String {
        let mut lines = self.head.clone();
        lines.push(String::new());
        lines.push(line(&COLUMNS.map(|(name, ..)| name.to_owned())));
        lines.extend(self.rows.iter().map(line));
        lines.join("\n") + "\n"
    }

    /// On a terminal of any size.
    pub fn draw(&self, frame: &mut Frame<'_>) {
        let text = Paragraph::new(self.head.join("\n")).wrap(Wrap { trim: false });
        let lines = text.line_count(frame.area().width) as u16;
        let [head, body, foot] = Layout::vertical([
            Constraint::Length(lines + 1),
            Constraint::Fill(1),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(text, head);
        // One line of the table is its head.
        let hidden = self.rows.len().saturating_sub(usize::from(body.height).saturating_sub(1));
        if hidden > 0 {
            frame.render_widget(Text::raw(format!("{hidden} more sessions")), foot);
        }
        // Columns that do not fit are left out, the first one never.
        let mut width = 0;
        let fits = |(_, needed, _): &&(&str, usize, bool)| {
            width += needed + 1;
            width <= usize::from(body.width) + 1
        };
        let count = COLUMNS.iter().take_while(fits).count();
        let columns = &COLUMNS[..count.max(1)];
        let cell = |(text, (_, _, right)): (&String, &(&str, usize, bool))| {
            let text = Text::raw(text.clone());
            if *right { text.right_aligned() } else { text }
        };
        let names = COLUMNS.map(|(name, ..)| name.to_owned());
        let header = Row::new(names.iter().zip(columns).map(cell));
        let rows = self.rows.iter().map(|row| Row::new(row.iter().zip(columns).map(cell)));
        let widths = columns.iter().map(|(_, width, _)| Constraint::Length(*width as u16));
        let bold = Style::new().add_modifier(Modifier::BOLD);
        frame.render_widget(Table::new(rows, widths).header(header.style(bold)), body);
    }
}

fn line(cells: &[String; COLUMNS.len()]) -> String {
    let cell = |(text, (_, width, right)): (&String, &(&str, usize, bool))| match right {
        true => format!("{text:>width$}"),
        false => format!("{text:<width$}"),
    };
    let cells: Vec<String> = cells.iter().zip(&COLUMNS).map(cell).collect();
    cells.join(" ").trim_end().to_owned()
}

fn row(session: &Session) -> [String; COLUMNS.len()] {
    let Session { pid, width, height, depth, pictures, .. } = session;
    let known = |number: u32, text: String| if number == 0 { "-".to_owned() } else { text };
    let client = match pid {
        0 => "-".to_owned(),
        pid => format!("{} ({pid})", program::harmless(&look::program(*pid))),
    };
    let decode = match session.fps > 0.0 {
        true => format!("{:.1}/{:.1}", session.decode_ms, session.decode_max_ms),
        false => "-".to_owned(),
    };
    [
        session.id.to_string(),
        cut(client, COLUMNS[1].1),
        cut(look::user_name(Uid::from_raw(session.uid)), COLUMNS[2].1),
        cut(program::harmless(&session.codec), COLUMNS[3].1),
        format!("{:.1}", session.fps),
        decode,
        format!("{:.0} %", 100.0 * session.busy),
        session.queue.to_string(),
        (pictures.damaged + pictures.failed).to_string(),
        known(*width, format!("{width}x{height}")),
        known(*depth, depth.to_string()),
        (pictures.done + pictures.damaged).to_string(),
    ]
}

fn cut(text: String, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width - 1).chain(['+']).collect(),
        false => text,
    }
}

fn duration(seconds: f64) -> String {
    let seconds = seconds as u64;
    match (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use daedalus_uapi::control::{Pictures, Sandbox, Total, VERSION};
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;

    fn status(cpu_s: f64, uptime_s: f64) -> Status {
        let pictures = Pictures { done: 1200, damaged: 2, failed: 3, cancelled: 4 };
        Status {
            protocol: VERSION,
            version: "0.1.0".into(),
            revision: String::new(),
            pid: 9,
            uptime_s,
            cpu_s,
            device: "/dev/daedalus".into(),
            codecs: vec!["h264".into()],
            sandbox: Sandbox::default(),
            total: Total { sessions: 5, pictures },
            sessions: vec![Session {
                id: 17,
                pid: std::process::id(),
                uid: 4_000_000_000,
                codec: "h264".into(),
                width: 1920,
                height: 1088,
                depth: 8,
                age_s: 60.0,
                pictures,
                queue: 6,
                fps: 59.94,
                decode_ms: 8.25,
                decode_max_ms: 20.0,
                latency_ms: 50.0,
                latency_max_ms: 70.0,
                busy: 0.5,
            }],
        }
    }

    #[test]
    fn the_table_says_who_has_what_decoded_and_how_fast() {
        let text = View::new(Ok(status(30.0, 3700.0)), None).text();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("up 1 h 1 min; 1 sessions, 5 ever; CPU 1 % since"), "{text}");
        assert!(lines[1].contains("1200 done, 2 damaged, 3 failed, 4 taken back"), "{text}");
        assert!(lines[3].trim_start().starts_with("SESSION CLIENT"), "{text}");
        let words: Vec<&str> = lines[4].split_whitespace().collect();
        assert_eq!(words[0], "17");
        let rest = ["h264", "59.9", "8.2/20.0", "50", "%", "6", "5", "1920x1088", "8", "1202"];
        assert_eq!(words[words.len() - rest.len()..], rest);
        // The name is that of this process, cut off by the kernel.
        let name = look::program(std::process::id());
        assert!(lines[4].contains(name.split(' ').next().unwrap()), "{text}");
    }

    #[test]
    fn processor_time_is_that_since_the_last_look_at_the_same_daemon() {
        let first = View::new(Ok(status(10.0, 100.0)), None);
        let second = View::new(Ok(status(11.5, 101.0)), first.used());
        assert!(second.head[0].ends_with("CPU 150 %"), "{}", second.head[0]);
        let another = Status { pid: 10, ..status(1.0, 10.0) };
        let third = View::new(Ok(another), second.used());
        assert!(third.head[0].ends_with("CPU 10 % since it started"), "{}", third.head[0]);
    }

    #[test]
    fn a_daemon_that_is_gone_is_said() {
        assert_eq!(View::new(Err("nobody".into()), None).text().lines().next(), Some("nobody"));
    }

    #[test]
    fn it_fits_on_a_terminal_of_any_size() {
        let view = View::new(Ok(status(1.0, 2.0)), None);
        for (width, height) in [(120, 30), (40, 5), (3, 2), (1, 1)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| view.draw(frame)).unwrap();
        }
        let mut terminal = Terminal::new(TestBackend::new(120, 30)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        let shown = terminal.backend().to_string();
        assert!(shown.contains("SESSION") && shown.contains("1920x1088"), "{shown}");
        // As wide as terminals are, without being told: the head goes on in another line.
        let mut narrow = Terminal::new(TestBackend::new(80, 7)).unwrap();
        let mut many = status(1.0, 3700.0);
        let session = many.sessions[0].clone();
        many.sessions.extend([session.clone(), session]);
        let view = View::new(Ok(many), None);
        narrow.draw(|frame| view.draw(frame)).unwrap();
        let shown = narrow.backend().to_string();
        for part in ["\"started", "QUEUE", "8.2/20.0", "2 more sessions"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        // Resized between two frames.
        terminal.backend_mut().resize(50, 4);
        terminal.draw(|frame| view.draw(frame)).unwrap();
    }
}

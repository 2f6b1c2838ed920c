//! Answers, made from numbers.

use std::{fmt::Write, time::Duration};

use daedalus_uapi::control::{self, METRICS_END, Pictures, Status, VERSION, codec_name};
use nix::time::{ClockId, clock_gettime};

use super::{About, Watch, tap::json};
use crate::statistics::CODECS;

/// Processor time of all threads of this process.
fn processor() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// The answer to [`control::Request::Status`].
pub fn status(about: &About, watch: &Watch) -> String {
    json(&Status {
        protocol: VERSION,
        version: daedalus_version::VERSION.to_owned(),
        revision: daedalus_version::REVISION.to_owned(),
        pid: std::process::id(),
        uptime_s: watch.statistics.uptime().as_secs_f64(),
        cpu_s: processor().as_secs_f64(),
        device: about.device.clone(),
        codecs: about.codecs.clone(),
        sandbox: about.sandbox.clone(),
        total: watch.statistics.total(),
        sessions: watch.statistics.sessions().iter().map(|session| session.read()).collect(),
    })
}

/// Why there is no other answer.
pub fn error(why: &str) -> String {
    json(&control::Error { protocol: VERSION, error: why.to_owned() })
}

/// A metric: its kind, its name without `daedalus_`, what it is.
type Metric = (&'static str, &'static str, &'static str);

/// The text format of Prometheus.
struct Text(String);

impl Text {
    fn metric(&mut self, (kind, name, what): Metric) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP daedalus_{name} {what}\n# TYPE daedalus_{name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &str, value: f64) {
        let _ = match labels {
            "" => writeln!(self.0, "daedalus_{name} {value}"),
            labels => writeln!(self.0, "daedalus_{name}{{{labels}}} {value}"),
        };
    }

    fn one(&mut self, metric: Metric, labels: &str, value: f64) {
        self.metric(metric);
        self.value(metric.1, labels, value);
    }

    /// The four outcomes.
    fn pictures(&mut self, name: &str, labels: &str, pictures: Pictures) {
        let Pictures { done, damaged, failed, cancelled } = pictures;
        let outcomes =
            [("done", done), ("damaged", damaged), ("failed", failed), ("cancelled", cancelled)];
        for (outcome, count) in outcomes {
            self.value(name, &format!("{labels},outcome=\"{outcome}\""), count as f64);
        }
    }
}

/// The answer to [`control::Request::Metrics`].
pub fn metrics(watch: &Watch) -> String {
    let statistics = &watch.statistics;
    let mut text = Text(String::new());
    let labels = format!(
        "version=\"{}\",revision=\"{}\"",
        daedalus_version::VERSION,
        daedalus_version::REVISION
    );
    text.one(("gauge", "build_info", "What the daemon was built from."), &labels, 1.0);
    let uptime = statistics.uptime().as_secs_f64();
    text.one(("gauge", "uptime_seconds", "Since the daemon started."), "", uptime);
    let what = "Processor time of all threads of the daemon.";
    text.one(("counter", "cpu_seconds_total", what), "", processor().as_secs_f64());

    let codecs = CODECS.map(|codec| (codec_name(codec), statistics.codec(codec)));
    let label = |codec: &str| format!("codec=\"{codec}\"");
    text.metric(("counter", "sessions_total", "Sessions that were opened."));
    for (codec, all) in codecs {
        text.value("sessions_total", &label(codec), all.sessions() as f64);
    }
    text.metric(("counter", "pictures_total", "Requests by what became of them."));
    for (codec, all) in codecs {
        text.pictures("pictures_total", &label(codec), all.pictures());
    }
    let what = "Time in which sessions had something to decode, added up.";
    text.metric(("counter", "busy_seconds_total", what));
    for (codec, all) in codecs {
        text.value("busy_seconds_total", &label(codec), all.busy().as_secs_f64());
    }

    let sessions: Vec<_> = statistics.sessions().iter().map(|session| session.read()).collect();
    text.one(("gauge", "sessions", "Sessions there are."), "", sessions.len() as f64);
    let label = |session: &control::Session| {
        let control::Session { id, codec, uid, pid, .. } = session;
        format!("session=\"{id}\",codec=\"{codec}\",uid=\"{uid}\",pid=\"{pid}\"")
    };
    let what = "Requests of a session by what became of them.";
    text.metric(("counter", "session_pictures_total", what));
    for session in &sessions {
        text.pictures("session_pictures_total", &label(session), session.pictures);
    }
    type Read = fn(&control::Session) -> f64;
    let gauges: [(&str, &str, Read); 4] = [
        ("session_queue", "Requests that wait or are being decoded.", |s| s.queue as f64),
        ("session_fps", "Requests answered per second, lately.", |s| s.fps),
        ("session_decode_seconds", "Mean time to decode a picture, lately.", |s| s.decode_ms / 1e3),
        ("session_decode_max_seconds", "The longest of these.", |s| s.decode_max_ms / 1e3),
    ];
    for (name, what, read) in gauges {
        text.metric(("gauge", name, what));
        for session in &sessions {
            text.value(name, &label(session), read(session));
        }
    }
    text.0.push_str(METRICS_END);
    text.0.push('\n');
    text.0
}

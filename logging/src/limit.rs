//! A stream with an error in each picture must not fill a disk: of one message's lines at most [`MOST`] are
//! written in [`WINDOW`], for each user and each entry point where it tells these; how many were left out is said.
//!
//! Debugging output is not limited: somebody asked for it.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use log::{
    Level, Log, Metadata, Record,
    kv::{self, Key, Value, VisitSource},
};

/// Lines of one message in a window.
pub const MOST: u32 = 10;

/// How long a window is.
pub const WINDOW: Duration = Duration::from_secs(10);

/// Messages that are watched at once. There are fewer, unless there are many users.
const MOST_WATCHED: usize = 1024;

/// How much of a line is repeated where the number of others like it is said, in characters.
const SAMPLE: usize = 100;

/// A message: how bad, where in the source, and a hash of what it is about. One place may log at several levels,
/// and what matters little must not use up the lines of what matters.
type Message = (Level, Option<&'static str>, Option<u32>, Option<u64>);

/// The values of a record that make it another message.
const ABOUT: [&str; 2] = ["user", "entry"];

struct Watched {
    since: Instant,
    /// Lines in the window.
    lines: u32,
    left_out: u64,
    level: Level,
    target: String,
    place: (Option<&'static str>, Option<u32>),
    /// What the last line that was written said.
    sample: String,
    /// Its values that the lines left out have, too.
    fields: Fields,
}

/// Names and values.
#[derive(Default)]
struct Fields(Vec<(String, String)>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        self.0.push((key.as_str().to_owned(), value.to_string()));
        Ok(())
    }
}

impl Fields {
    fn of(record: &Record<'_>) -> Fields {
        let mut fields = Fields::default();
        // It never fails.
        let _ = record.key_values().visit(&mut fields);
        fields
    }

    /// Leaves those that `record` has, too.
    fn retain_those_of(&mut self, record: &Record<'_>) {
        let values = record.key_values();
        self.0.retain(|(name, value)| {
            values.get(Key::from_str(name)).is_some_and(|other| other.to_string() == *value)
        });
    }
}

/// Passes on what is within the limits.
pub struct Limited<L> {
    to: L,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Not a hash table: those hold pointers into their memory, which valgrind takes for a leak of clients'.
    watched: BTreeMap<Message, Watched>,
    looked: Option<Instant>,
}

/// How many lines were left out, and of what.
struct Sum {
    level: Level,
    target: String,
    place: (Option<&'static str>, Option<u32>),
    fields: Vec<(String, String)>,
    text: String,
}

impl<L: Log> Limited<L> {
    /// Limits what goes to `to`.
    pub fn new(to: L) -> Limited<L> {
        Limited { to, state: Mutex::default() }
    }

    /// Decides about a record, and passes on what is due.
    fn log_at(&self, record: &Record<'_>, now: Instant) {
        let (written, sums) = self.state().decide(record, now);
        self.write(sums);
        if written {
            self.to.log(record);
        }
    }

    fn write(&self, sums: Vec<Sum>) {
        for Sum { level, target, place: (file, line), fields, text } in sums {
            let fields = fields.as_slice();
            let mut record = Record::builder();
            record.level(level).target(&target).file_static(file).line(line).key_values(&fields);
            self.to.log(&record.args(format_args!("{text}")).build());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: Log> Log for Limited<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.to.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if record.level() > Level::Info {
            self.to.log(record);
        } else if self.to.enabled(record.metadata()) {
            self.log_at(record, Instant::now());
        }
    }

    /// Says what was left out so far.
    fn flush(&self) {
        let sums = self.state().sums(|_| true);
        self.write(sums);
        self.to.flush();
    }
}

impl State {
    /// Whether a line is written, and what has to be said before.
    fn decide(&mut self, record: &Record<'_>, now: Instant) -> (bool, Vec<Sum>) {
        let over = |watched: &Watched| now.duration_since(watched.since) >= WINDOW;
        let mut sums = Vec::new();
        // Others' windows are looked at now and then.
        if self.looked.is_none_or(|looked| now.duration_since(looked) >= WINDOW / 10) {
            self.looked = Some(now);
            sums = self.sums(over);
            self.watched.retain(|_, watched| !over(watched));
        }
        let place = (record.file_static(), record.line());
        let mut message = (record.level(), place.0, place.1, about(record));
        if self.watched.len() >= MOST_WATCHED {
            message.3 = None;
        }
        let watched = self.watched.entry(message).or_insert_with(|| Watched {
            since: now,
            lines: 0,
            left_out: 0,
            level: record.level(),
            target: record.target().to_owned(),
            place,
            sample: String::new(),
            fields: Fields::default(),
        });
        if over(watched) {
            sums.extend(watched.sum());
            (watched.since, watched.lines) = (now, 0);
        }
        watched.lines += 1;
        if watched.lines == MOST {
            watched.sample = record.args().to_string().chars().take(SAMPLE).collect();
            watched.fields = Fields::of(record);
        }
        if watched.lines > MOST {
            watched.lines = MOST;
            watched.left_out += 1;
            watched.fields.retain_those_of(record);
            return (false, sums);
        }
        (true, sums)
    }

    fn sums(&mut self, which: impl Fn(&Watched) -> bool) -> Vec<Sum> {
        let due = self.watched.values_mut().filter(|watched| which(watched));
        due.filter_map(Watched::sum).collect()
    }
}

fn about(record: &Record<'_>) -> Option<u64> {
    let value = |name| record.key_values().get(Key::from_str(name));
    let mut hasher = DefaultHasher::new();
    let said = ABOUT.into_iter().filter_map(value).map(|value| value.to_string().hash(&mut hasher));
    (said.count() > 0).then(|| hasher.finish())
}

impl Watched {
    fn sum(&mut self) -> Option<Sum> {
        let count = std::mem::take(&mut self.left_out);
        let Watched { level, target, place, sample, fields, .. } = self;
        (count > 0).then(|| Sum {
            level: *level,
            target: target.clone(),
            place: *place,
            fields: fields.0.clone(),
            text: format!("left out {count} more like this: {sample}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines, each with its level before it and its values behind it.
    #[derive(Default)]
    struct Memory(Mutex<Vec<String>>);

    impl Log for Memory {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &Record<'_>) {
            let values = Fields::of(record).0;
            let values: String =
                values.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            let line = format!("{} {}{values}", record.level(), record.args());
            self.0.lock().unwrap().push(line);
        }

        fn flush(&self) {}
    }

    struct Bench {
        log: Limited<Memory>,
        start: Instant,
    }

    impl Bench {
        fn new() -> Bench {
            Bench { log: Limited::new(Memory::default()), start: Instant::now() }
        }

        /// A line of a message at a time, about a user.
        fn say(&self, text: &str, place: u32, user: Option<u64>, seconds: u64) {
            let values: Vec<_> = user.map(|user| ("user", user)).into_iter().collect();
            self.say_with(Level::Warn, text, place, &values, seconds);
        }

        fn say_with(
            &self,
            level: Level,
            text: &str,
            place: u32,
            values: &[(&str, u64)],
            seconds: u64,
        ) {
            let mut record = Record::builder();
            record.level(level).file_static(Some("a.rs")).line(Some(place));
            record.key_values(&values);
            let now = self.start + Duration::from_secs(seconds);
            self.log.log_at(&record.args(format_args!("{text}")).build(), now);
        }

        fn said(&self) -> Vec<String> {
            std::mem::take(&mut self.log.to.0.lock().unwrap())
        }
    }

    #[test]
    fn an_error_in_each_of_many_pictures_takes_few_lines_and_its_number_is_told() {
        let bench = Bench::new();
        for picture in 0..5000 {
            bench.say(&format!("picture {picture}"), 1, None, 0);
        }
        assert_eq!(bench.said().len(), MOST as usize);
        bench.say("picture 5000", 1, None, WINDOW.as_secs());
        let left_out = "WARN left out 4990 more like this: picture 9";
        assert_eq!(bench.said(), [left_out, "WARN picture 5000"]);
    }

    #[test]
    fn the_number_is_told_when_something_else_is_said_or_at_the_end() {
        let bench = Bench::new();
        (0..12).for_each(|_| bench.say("a", 1, None, 0));
        (0..13).for_each(|_| bench.say("b", 2, None, 1));
        bench.said();
        bench.say("c", 3, None, WINDOW.as_secs());
        assert_eq!(bench.said(), ["WARN left out 2 more like this: a", "WARN c"]);
        bench.log.flush();
        assert_eq!(bench.said(), ["WARN left out 3 more like this: b"]);
        bench.log.flush();
        assert!(bench.said().is_empty());
    }

    #[test]
    fn one_user_does_not_silence_another() {
        let bench = Bench::new();
        (0..100).for_each(|_| bench.say("of 1", 1, Some(1), 0));
        bench.said();
        bench.say("of 2", 1, Some(2), 0);
        bench.say("another of 1", 2, Some(1), 0);
        assert_eq!(bench.said(), ["WARN of 2 user=2", "WARN another of 1 user=1"]);
    }

    #[test]
    fn what_matters_little_does_not_silence_what_matters() {
        let bench = Bench::new();
        let about = [("entry", 7)];
        (0..MOST).for_each(|_| bench.say_with(Level::Info, "refused", 1, &about, 0));
        bench.said();
        bench.say_with(Level::Info, "refused", 1, &about, 0);
        bench.say_with(Level::Warn, "lost", 1, &about, 0);
        assert_eq!(bench.said(), ["WARN lost entry=7"]);
    }

    #[test]
    fn a_number_says_what_all_that_it_counts_are_about() {
        let bench = Bench::new();
        let about = |picture| [("user", 5), ("session", 17), ("picture", picture)];
        (0..12).for_each(|picture| bench.say_with(Level::Warn, "bad", 1, &about(picture), 0));
        bench.said();
        bench.log.flush();
        assert_eq!(bench.said(), ["WARN left out 2 more like this: bad user=5 session=17"]);
        // One of another session: the number is of both.
        bench.say_with(Level::Warn, "bad", 1, &about(12), 0);
        bench.say_with(Level::Warn, "bad", 1, &[("user", 5), ("session", 18)], 0);
        bench.log.flush();
        assert_eq!(bench.said(), ["WARN left out 2 more like this: bad user=5"]);
    }

    #[test]
    fn what_is_watched_is_bounded() {
        let bench = Bench::new();
        for user in 0..3 * MOST_WATCHED as u64 {
            bench.say("text", 1, Some(user), 0);
        }
        assert!(bench.log.state().watched.len() <= MOST_WATCHED + 1);
        bench.say("text", 1, Some(0), WINDOW.as_secs());
        assert_eq!(bench.log.state().watched.len(), 1);
    }

    #[test]
    fn debugging_output_is_not_limited() {
        let log = Limited::new(Memory::default());
        for _ in 0..100 {
            log.log(&Record::builder().level(Level::Debug).args(format_args!("x")).build());
        }
        assert_eq!(log.to.0.lock().unwrap().len(), 100);
    }
}

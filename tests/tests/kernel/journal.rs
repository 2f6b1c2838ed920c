//! The daemon in its sandbox logs to the journal, which is this test.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use daedalus_tests::kernel::Daemon;
use daedalus_tests::stream::Codec;
use libtest_mimic::Failed;

use crate::{Bed, deaths};

const SOCKET: &str = "/run/systemd/journal/socket";

pub fn of_the_daemon(bed: &Bed) -> Result<(), Failed> {
    if Path::new(SOCKET).exists() {
        return Err(format!("{SOCKET} is somebody else's: not in a machine with systemd").into());
    }
    fs::create_dir_all(Path::new(SOCKET).parent().ok_or("no folder")?)?;
    let journal = UnixDatagram::bind(SOCKET)?;
    journal.set_read_timeout(Some(Duration::from_millis(100)))?;
    let said = logged(bed, &journal);
    fs::remove_file(SOCKET)?;
    let (said, plain) = said?;
    println!("{}", said.join("\n\n"));
    // Before the sandbox and in there, with the fields of a stream.
    let has = |words: &[&str]| {
        let fits =
            |record: &String| words.iter().all(|word| record.lines().any(|line| line == *word));
        said.iter().any(fits)
    };
    let session = ["PRIORITY=6", "SYSLOG_IDENTIFIER=daedalusd", "TARGET=daedalus_daemon::session"];
    let fields = ["DAEDALUS_CODEC=vp9", "DAEDALUS_USER=0"];
    if !has(&[&session[..], &fields].concat()) || !has(&["TARGET=daedalusd"]) {
        return Err("a record lacks its fields".into());
    }
    if plain.is_empty() { Ok(()) } else { Err(format!("elsewhere: {plain}").into()) }
}

/// Whether that is said of a session that has ended, with its number.
fn is_an_end(record: &str) -> bool {
    record.contains("\nDAEDALUS_SESSION=") && record.contains(": end after ")
}

/// What a daemon logs that decodes a film: records, and what went to standard error all the same.
fn logged(bed: &Bed, journal: &UnixDatagram) -> Result<(Vec<String>, String), String> {
    let log = bed.file("journal.log");
    let failed = |error: std::io::Error| format!("{}: {error}", log.display());
    fs::write(&log, "").map_err(failed)?;
    let file = fs::metadata(&log).map_err(failed)?;
    let stream = format!("{}:{}", file.dev(), file.ino());
    let ended = AtomicBool::new(false);
    let session_ended = AtomicBool::new(false);
    let said = thread::scope(|scope| {
        // Few records wait to be read: who writes one more waits, too.
        let reader = scope.spawn(|| {
            let mut said = Vec::new();
            let mut record = vec![0; 1 << 16];
            loop {
                let last = ended.load(Ordering::SeqCst);
                match journal.recv(&mut record) {
                    Ok(count) => {
                        let record = String::from_utf8_lossy(&record[..count]).into_owned();
                        session_ended.fetch_or(is_an_end(&record), Ordering::SeqCst);
                        said.push(record);
                    }
                    Err(_) if last => return said,
                    Err(_) => {}
                }
            }
        });
        let decoded =
            Daemon::start_in(&log, &[], &[("JOURNAL_STREAM", &stream)]).and_then(|daemon| {
                deaths::whole(Codec::Vp9, bed)?;
                // The daemon is told of that by the module, and stopped by us.
                let started = Instant::now();
                while !session_ended.load(Ordering::SeqCst) {
                    if started.elapsed() > bed.setting.limit {
                        return Err("no session ends".into());
                    }
                    thread::sleep(Duration::from_millis(5));
                }
                daemon.stop()
            });
        ended.store(true, Ordering::SeqCst);
        let said = reader.join().expect("no panic");
        decoded.map(|()| said)
    })?;
    Ok((said, fs::read_to_string(&log).map_err(failed)?))
}

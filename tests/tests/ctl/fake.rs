//! A daemon that says one thing.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;

/// Answers each request on a socket in `folder` with `answer`, as long as this process lives.
pub fn daemon(folder: &Path, answer: &str) -> PathBuf {
    answering(folder, answer, usize::MAX)
}

/// Answers one request of each connection, and ends that.
pub fn daemon_that_hangs_up(folder: &Path, answer: &str) -> PathBuf {
    answering(folder, answer, 1)
}

fn answering(folder: &Path, answer: &str, requests: usize) -> PathBuf {
    let path = folder.join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let answer = answer.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || {
                for _ in BufReader::new(&stream).lines().map_while(Result::ok).take(requests) {
                    let _ = (&stream).write_all(answer.as_bytes());
                }
            });
        }
    });
    path
}

/// A status with one session: of this process.
pub fn status() -> String {
    let pid = std::process::id();
    format!(
        r#"{{"protocol":1,"version":"9.8.7","revision":"","pid":1,"uptime_s":100.0,"cpu_s":25.0,
        "device":"/dev/daedalus","codecs":["vp9"],
        "sandbox":{{"active":true,"landlock":"full","system_calls":41}},
        "total":{{"sessions":3,"done":120,"damaged":0,"failed":0,"cancelled":0}},
        "sessions":[{{"id":77,"pid":{pid},"uid":0,"codec":"vp9","width":1280,"height":720,"depth":8,
        "age_s":4.0,"pictures":{{"done":120,"damaged":0,"failed":0,"cancelled":0}},"queue":3,"fps":29.97,
        "decode_ms":4.5,"decode_max_ms":9.0,"latency_ms":9.0,"latency_max_ms":12.0,"busy":0.5}}]}}"#
    )
    .replace('\n', " ")
        + "\n"
}

/// As long as a path of a socket may be, whatever the folder.
pub fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("daedalus-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    folder
}

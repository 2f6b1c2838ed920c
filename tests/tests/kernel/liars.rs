//! Daemons that lie (`liar.c`): whatever they answer, clients end, the module stays, and the next honest daemon
//! finds everything in order.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use daedalus_tests::kernel::{Daemon, Statistics, dma_bufs};
use daedalus_tests::stream::Codec;
use daedalus_tests::{compile, process};
use libtest_mimic::Failed;

use crate::{Bed, deaths, film, player};

/// A player of a film of lies waits for what never comes: as long as a request may take, at most.
const LIMIT: Duration = Duration::from_secs(90);

/// Nobody hangs, nothing is left over, and films are right again afterwards.
pub fn are_not_believed(bed: &Bed) -> Result<(), Failed> {
    let rounds = if bed.full { 200 } else { 12 };
    let program = bed.file("liar");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/liar.c");
    compile::c(&[source], &program, &[])?;
    let films = [Codec::H264, Codec::Vp9, Codec::Av1].map(|codec| film::make(bed, codec, 100));
    let films = films.into_iter().collect::<Result<Vec<_>, String>>()?;
    let before = dma_bufs()?;
    let mut requests = 0;
    for round in 0..rounds {
        let film = &films[round % films.len()];
        let mut liar = Liar::start(&program, round, &bed.file("liar.log"))?;
        let played = player::play(film, bed, LIMIT);
        let said = liar.end().map_err(|why| format!("round {round}: {why}"))?;
        played.map_err(|why| format!("round {round}, {}: {why}", film.name))?;
        Statistics::wait_for_idle()?;
        println!("{round}: {}: {said} requests", film.name);
        requests += said;
        // Honest work in between shows what a lie has spoiled.
        if round % 20 == 11 {
            honest(bed).map_err(|why| format!("after round {round}: {why}"))?;
        }
    }
    println!("{rounds} daemons lied about {requests} requests");
    honest(bed)?;
    let after = dma_bufs()?;
    if after > before {
        return Err(format!("{before} dma-bufs before, {after} after").into());
    }
    // Liars that were asked for nothing prove nothing.
    if requests < rounds { Err("no liar had requests".into()) } else { Ok(()) }
}

/// Films are right with a daemon that is.
fn honest(bed: &Bed) -> Result<(), String> {
    let daemon = Daemon::start(&bed.file("honest.log"), &[])?;
    for codec in [Codec::H264, Codec::Vp9, Codec::Av1] {
        deaths::whole(codec, bed)?;
    }
    daemon.stop()
}

struct Liar {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    log: std::path::PathBuf,
}

impl Liar {
    fn start(program: &Path, seed: usize, log: &Path) -> Result<Liar, String> {
        let file = File::create(log).map_err(|e| format!("{}: {e}", log.display()))?;
        let mut child = process::command(program)
            .arg(seed.to_string())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .map_err(|e| format!("cannot run a liar: {e}"))?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        output.read_line(&mut line).map_err(|e| e.to_string())?;
        let liar = Liar { child, output, log: log.to_owned() };
        if line.trim() == "attached" { Ok(liar) } else { Err(liar.complaint()) }
    }

    fn complaint(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it, unless it has ended. The number of requests that it has lied about. Fails if the module has let
    /// it do what it may not.
    fn end(&mut self) -> Result<usize, String> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|e| e.to_string())?;
        self.child.wait().map_err(|e| e.to_string())?;
        // By its own hand or at its end; what it said before counts.
        line.split_whitespace().next().and_then(|n| n.parse().ok()).ok_or_else(|| self.complaint())
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

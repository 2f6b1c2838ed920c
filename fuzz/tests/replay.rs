//! Every target on the inputs of `corpus/`, on those that once found something (`findings/`), and on random
//! changes of them. `./x fuzz` looks for new ones.

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use daedalus_fuzz::{DECODING, Decoding, TABLE, Target};
use daedalus_uapi::Codec;
use libtest_mimic::{Arguments, Failed, Trial};

/// Changed inputs of a target.
const CHANGED: usize = 1000;

/// A thread has panicked, even if the driver has caught it.
static PANICKED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    // SAFETY: no other thread is there yet.
    unsafe { daedalus_fuzz::prepare() };
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICKED.store(true, Ordering::SeqCst);
        usual(info);
    }));
    let mut arguments = Arguments::from_args();
    // A panic on whatever thread belongs to the input that is being tried.
    arguments.test_threads = Some(1);
    let mut trials = vec![Trial::test("fuzz::targets_are_described", described)];
    for target in TABLE {
        let name = format!("fuzz::{}", target.name);
        trials.push(Trial::test(format!("{name}::corpus"), move || replay(target)));
        trials.push(Trial::test(format!("{name}::changed"), move || changed(target)));
    }
    for decoding in DECODING {
        let name = format!("fuzz::{}::codecs", decoding.target);
        trials.push(Trial::test(name, move || every_codec(decoding)));
    }
    let failed = libtest_mimic::run(&arguments, trials).has_failed();
    if failed { ExitCode::from(101) } else { ExitCode::SUCCESS }
}

/// `targets.tsv`, which `./x fuzz` reads, and the table have the same names in the same order.
fn described() -> Result<(), Failed> {
    let lines = include_str!("../targets.tsv").lines().skip(2);
    let described: Vec<_> = lines.filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(described, TABLE.map(|target| target.name));
    Ok(())
}

/// The inputs of a target in the order of their names.
fn inputs(target: Target) -> std::io::Result<Vec<(PathBuf, Vec<u8>)>> {
    files(&["corpus", "findings"], target.name)
}

fn files(folders: &[&str], target: &str) -> std::io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for folder in folders {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
        // Not every target has found something.
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            files.push(entry?.path());
        }
    }
    files.sort();
    files.into_iter().map(|file| fs::read(&file).map(|bytes| (file, bytes))).collect()
}

fn replay(target: Target) -> Result<(), Failed> {
    let inputs = inputs(target)?;
    if inputs.is_empty() {
        return Err("no inputs in fuzz/corpus".into());
    }
    for (file, bytes) in inputs {
        attempt(target, &bytes).map_err(|why| format!("{}: {why}", file.display()))?;
    }
    Ok(())
}

/// The corpus of a target that decodes has a whole picture of each codec.
fn every_codec(decoding: Decoding) -> Result<(), Failed> {
    let mut missing = vec![Codec::H264, Codec::Vp9, Codec::Av1];
    // Those that are there for it (`xtask/src/fuzz/corpus.rs`) have the last names.
    for (_, bytes) in files(&["corpus"], decoding.target)?.iter().rev() {
        if missing.is_empty() {
            break;
        }
        let decoded = (decoding.decoded)(bytes);
        missing.retain(|codec| !decoded.contains(codec));
    }
    // A panic is what `replay` looks for.
    PANICKED.store(false, Ordering::SeqCst);
    if missing.is_empty() { Ok(()) } else { Err(format!("no picture of {missing:?}").into()) }
}

/// Fails if the input makes any thread panic.
fn attempt(target: Target, bytes: &[u8]) -> Result<(), String> {
    let done = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    if PANICKED.swap(false, Ordering::SeqCst) || done.is_err() {
        return Err("a panic (see above)".into());
    }
    Ok(())
}

/// The same changes at each run: what is found can be found again.
fn changed(target: Target) -> Result<(), Failed> {
    let inputs = inputs(target)?;
    let mut dice = fastrand::Rng::with_seed(7);
    for round in 0..CHANGED {
        let mut bytes = match inputs.get(dice.usize(..inputs.len().max(1))) {
            Some((_, bytes)) => bytes.clone(),
            None => Vec::new(),
        };
        for _ in 0..=dice.usize(..4) {
            change(&mut bytes, &mut dice);
        }
        if let Err(why) = attempt(target, &bytes) {
            let file =
                Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{round}", target.name));
            fs::write(&file, &bytes)?;
            return Err(format!("{}: {why}", file.display()).into());
        }
    }
    Ok(())
}

fn change(bytes: &mut Vec<u8>, dice: &mut fastrand::Rng) {
    let at = dice.usize(..=bytes.len());
    match (dice.u8(..6), bytes.get_mut(at)) {
        (0, _) => bytes.truncate(at),
        (1, _) => bytes.insert(at, dice.u8(..)),
        (2, Some(_)) => {
            bytes.remove(at);
        }
        (3, Some(byte)) => *byte ^= 1 << dice.u8(..8),
        (4, Some(byte)) => *byte = [0, 0xff, 0x7f, 0x80][dice.usize(..4)],
        (_, Some(byte)) => *byte = dice.u8(..),
        (_, None) => bytes.push(dice.u8(..)),
    }
}

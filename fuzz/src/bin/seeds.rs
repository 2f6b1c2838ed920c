//! Recordings → first inputs of every target: `seeds FOLDER RECORDING...` writes `FOLDER/TARGET/...`.
//!
//! Of what decodes, the smallest inputs that give whole pictures are written besides, one of each
//! codec and depth: the corpus keeps those (`xtask/src/fuzz/corpus.rs`).

use std::{collections::HashMap, fs, path::Path, process::ExitCode};

use daedalus_drv_video::codec::{self, Draft};
use daedalus_fuzz::{
    DECODING, Decoding,
    controls::Request,
    input::Output,
    messages::{self, Written},
    pictures::Picture,
    recording::{self, Context},
    targets::{
        buffers,
        calls::{self, Manner},
    },
};
use daedalus_uapi::{Codec, Controls};
use libva_sys as va;
use zerocopy::IntoBytes;

/// Pictures of one input.
const WINDOW: usize = 4;
/// Inputs of one stream.
const WINDOWS: usize = 4;
/// Coded bytes of a slice, where they are not decoded, and of VP9, whose compressed header is in there.
const SLICE: u32 = 48;
const FRAME: u32 = 384;
/// Coded bytes of a picture that is decoded.
const DECODED: u32 = 1536;
/// Pictures of an input that must give whole ones.
const WHOLE: usize = 2;
/// Bytes of such an input at the most: libFuzzer cuts off what is more (`targets.tsv`).
const LONGEST: usize = 8192;

fn main() -> ExitCode {
    // SAFETY: no other thread is there yet.
    unsafe { daedalus_fuzz::prepare() };
    let mut candidates = Vec::new();
    let mut arguments = std::env::args_os().skip(1);
    let Some(folder) = arguments.next() else {
        eprintln!("usage: seeds FOLDER RECORDING...");
        return ExitCode::from(2);
    };
    for recording in arguments {
        let name = Path::new(&recording).file_stem().unwrap_or_default().to_string_lossy();
        let done = fs::read(&recording).and_then(|bytes| {
            let streams = recording::read(&bytes);
            streams.iter().enumerate().try_for_each(|(number, (context, pictures))| {
                let name = format!("{name}-{number}");
                candidates.extend(candidates_of(context, pictures));
                stream(&Seeds { folder: Path::new(&folder), name: &name }, context, pictures)
            })
        });
        if let Err(error) = done {
            eprintln!("seeds: {}: {error}", recording.to_string_lossy());
            return ExitCode::FAILURE;
        }
    }
    if let Err(error) = write_whole(Path::new(&folder), candidates) {
        eprintln!("seeds: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// An input that may give whole pictures.
struct Candidate {
    target: &'static str,
    codec: Codec,
    deep: bool,
    bytes: Vec<u8>,
}

/// Inputs of a stream's first pictures, with all of their coded bytes.
fn candidates_of(context: &Context, pictures: &[Picture]) -> Vec<Candidate> {
    let codec = context.codec();
    let pictures = &pictures[..pictures.len().min(WHOLE)];
    let deep = pictures.iter().any(|picture| picture.is_deep(codec));
    let script =
        calls::decoding(context.profile, &renamed(codec, pictures, u32::MAX), Manner::Plain);
    // Nothing is taken back: that would not be decoded for anybody.
    let requests = daemon(context, deep, &drafts(context, pictures), usize::MAX);
    let candidates = [("va-calls", script), ("daemon", requests.0)];
    let candidate = |(target, bytes)| Candidate { target, codec, deep, bytes };
    candidates.into_iter().map(candidate).filter(|one| one.bytes.len() <= LONGEST).collect()
}

/// Writes the smallest of each kind that hold what they promise.
fn write_whole(folder: &Path, mut candidates: Vec<Candidate>) -> std::io::Result<()> {
    candidates.sort_by_key(|candidate| candidate.bytes.len());
    for Decoding { target, decoded } in DECODING {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        for (codec, deep) in [Codec::H264, Codec::Vp9, Codec::Av1]
            .into_iter()
            .flat_map(|codec| [(codec, false), (codec, true)])
        {
            let kind = (target, codec, deep);
            let mut known =
                candidates.iter().filter(|one| (one.target, one.codec, one.deep) == kind);
            let name = format!("whole-{}{}", word(codec), if deep { "-10" } else { "" });
            match known.find(|one| decoded(&one.bytes).contains(&codec)) {
                Some(one) => fs::write(folder.join(name), &one.bytes)?,
                None => eprintln!("seeds: {target}: nothing for {name}"),
            }
        }
    }
    Ok(())
}

/// Where the inputs of one stream go.
struct Seeds<'a> {
    folder: &'a Path,
    name: &'a str,
}

impl Seeds<'_> {
    fn write(&self, target: &str, number: usize, bytes: &[u8]) -> std::io::Result<()> {
        let folder = self.folder.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{}-{number}", self.name)), bytes)
    }
}

fn word(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "h264",
        Codec::Vp9 => "vp9",
        Codec::Av1 => "av1",
    }
}

fn stream(seeds: &Seeds<'_>, context: &Context, pictures: &[Picture]) -> std::io::Result<()> {
    let codec = context.codec();
    let word = word(codec);
    for (number, window) in pictures.chunks(WINDOW).take(WINDOWS).enumerate() {
        let mut output = Output::default();
        let known = buffers::profiles(codec);
        let profile = known.iter().position(|profile| *profile == context.profile);
        output.u8(profile.unwrap_or(0) as u8);
        output.u16(context.size.0);
        output.u16(context.size.1);
        for mut picture in window.iter().cloned() {
            picture.shorten(codec, if codec == Codec::Vp9 { FRAME } else { SLICE });
            picture.write(codec, &mut output);
        }
        seeds.write(&format!("{word}-buffers"), number, &output.0)?;
    }
    let deep = pictures.iter().any(|picture| picture.is_deep(codec));
    let drafts = drafts(context, pictures);
    requests(seeds, context, deep, &drafts)?;
    headers(seeds, codec, context, &drafts)?;
    scripts(seeds, context, pictures)
}

/// The requests that the pictures become.
fn drafts(context: &Context, pictures: &[Picture]) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let Some(mut translator) = codec::translator(context.profile) else { return drafts };
    for picture in pictures {
        let context_size = (context.size.0.into(), context.size.1.into());
        let (target, buffers) = (picture.target, &picture.buffers[..]);
        // What a client sent in error is no seed.
        let _ = translator.picture(&codec::Picture { target, context_size, buffers }, &mut drafts);
    }
    translator.commit(&mut drafts);
    drafts
}

fn requests(
    seeds: &Seeds<'_>,
    context: &Context,
    deep: bool,
    drafts: &[Draft],
) -> std::io::Result<()> {
    let word = word(context.codec());
    for (number, window) in drafts.chunks(WINDOW).take(WINDOWS).enumerate() {
        let mut writer = Output::default();
        for draft in window {
            let Draft { timestamp, controls, data, .. } = draft.clone();
            let most = if context.codec() == Codec::Av1 { DECODED } else { FRAME } as usize;
            let data = data[..data.len().min(most)].to_vec();
            Request { timestamp, controls, data }.write(&mut writer);
        }
        let mut daemon = daemon(context, deep, window, DECODED as usize);
        messages::write_short(2, 1, &mut daemon);
        messages::write_short(1, 1, &mut daemon);
        seeds.write(&format!("{word}-writer"), number, &writer.0)?;
        seeds.write("daemon", number, &daemon.0)?;
        seeds.write("protocol", number, &daemon.0[1..])?;
    }
    Ok(())
}

/// A session of a daemon that is waited for, with so many coded bytes of each picture at the most.
fn daemon(context: &Context, deep: bool, drafts: &[Draft], most: usize) -> Output {
    let mut output = Output::default();
    output.u8(1);
    messages::write_open(context.codec(), 1, &mut output);
    for draft in drafts {
        let request = Written {
            timestamp: draft.timestamp,
            hold_capture: draft.hold_capture,
            controls: &draft.controls,
            data: &draft.data[..draft.data.len().min(most)],
            deep,
            size: context.size,
        };
        messages::write_request(1, &request, &mut output);
    }
    output
}

fn headers(
    seeds: &Seeds<'_>,
    codec: Codec,
    context: &Context,
    drafts: &[Draft],
) -> std::io::Result<()> {
    match codec {
        Codec::H264 => {
            for (number, draft) in drafts.iter().take(WINDOW * WINDOWS).enumerate() {
                let Controls::H264(controls) = &draft.controls else { continue };
                let mut output = Output::default();
                output.padded(controls.sps.as_bytes());
                output.padded(controls.pps.as_bytes());
                // Behind the start code.
                let nal = draft.data.get(3..).unwrap_or_default();
                output.0.extend(&nal[..nal.len().min(SLICE as usize)]);
                seeds.write("h264-headers", number, &output.0)?;
            }
        }
        Codec::Vp9 => {
            for (number, window) in drafts.chunks(WINDOW).take(WINDOWS).enumerate() {
                let mut output = Output::default();
                output.u8((context.profile == va::VAProfileVP9Profile2).into());
                output.u16(context.size.0);
                output.u16(context.size.1);
                for draft in window {
                    output.block(&draft.data[..draft.data.len().min(FRAME as usize)]);
                }
                seeds.write("vp9-headers", number, &output.0)?;
            }
        }
        Codec::Av1 => {}
    }
    Ok(())
}

/// Pictures with surfaces numbered as they come, and so many coded bytes of each slice at the most.
fn renamed(codec: Codec, pictures: &[Picture], most: u32) -> Vec<Picture> {
    let mut numbers = HashMap::new();
    for picture in pictures {
        let next = numbers.len() as u32 % calls::SURFACES;
        numbers.entry(picture.target).or_insert(next);
    }
    let number_of = |surface| numbers.get(&surface).copied().unwrap_or(surface);
    let mut renamed = pictures.to_vec();
    for picture in &mut renamed {
        picture.shorten(codec, most);
        picture.rename(codec, number_of);
        picture.target = number_of(picture.target);
    }
    renamed
}

/// VA calls.
fn scripts(seeds: &Seeds<'_>, context: &Context, pictures: &[Picture]) -> std::io::Result<()> {
    let renamed = renamed(context.codec(), pictures, DECODED);
    for (number, window) in renamed.chunks(WINDOW).take(WINDOWS).enumerate() {
        // Streams of pictures that are small or cut short, sometimes three at the same time.
        let manner = if number % 2 == 1 { Manner::Threads } else { Manner::Plain };
        let script = calls::decoding(context.profile, window, manner);
        seeds.write("va-calls", number, &script)?;
    }
    let first = renamed.chunks(WINDOW).next().unwrap_or_default();
    for (number, manner) in [Manner::Imported, Manner::Waiting].into_iter().enumerate() {
        let script = calls::decoding(context.profile, first, manner);
        seeds.write("va-calls", WINDOWS + number, &script)?;
    }
    Ok(())
}

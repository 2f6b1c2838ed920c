//! Four clients at once, two through VA-API and two on the device itself, of all codecs: exact.

use std::thread;

use daedalus_tests::clients::Client;
use daedalus_tests::frames;
use daedalus_tests::kernel::{Daemon, Statistics};
use daedalus_tests::stream::{Codec, Stream};
use libtest_mimic::Failed;

use crate::{Bed, film};

pub fn four_clients_at_once(bed: &Bed) -> Result<(), Failed> {
    let frames = if bed.full { 500 } else { 60 };
    let h264 = film::make(bed, Codec::H264, frames)?;
    let vp9 = film::make(bed, Codec::Vp9, frames)?;
    let av1 = film::make(bed, Codec::Av1, frames)?;
    let daemon = Daemon::start(&bed.file("together.log"), &[])?;
    let before = Statistics::read()?;
    let clients = [
        (Client::FfmpegDownload, &av1),
        (Client::Gstreamer, &vp9),
        (Client::GstreamerV4l2, &h264),
        (Client::GstreamerV4l2, &vp9),
    ];
    thread::scope(|scope| {
        let started: Vec<_> = clients
            .iter()
            .map(|(client, stream)| scope.spawn(|| exact(*client, stream, bed)))
            .collect();
        started.into_iter().try_for_each(|client| client.join().expect("no panic"))
    })?;
    let after = Statistics::wait_for_idle()?;
    let decoded = after.completed - before.completed;
    println!("{decoded} requests at once");
    // VP9's hidden frames come on top.
    if decoded < 4 * frames as u64 {
        return Err(format!("{decoded} requests for 4 films of {frames} frames").into());
    }
    Ok(daemon.stop()?)
}

fn exact(client: Client, stream: &Stream, bed: &Bed) -> Result<(), String> {
    let got = client.decode(stream, &bed.setting).map_err(|failure| failure.to_string())?;
    match frames::compare(&stream.frames, &got) {
        None => Ok(()),
        Some(difference) => Err(format!("{client}: {}: {difference}", stream.name)),
    }
}

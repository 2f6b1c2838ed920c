//! How fast pictures are packed, against memcpy of as many bytes: `cargo bench -p daedalus-engine --bench
//! pack`; `-- --json` for programs.
//!
//! Each pair is measured by turns, a 1080p frame at a time, and the medians are compared. "memory" goes
//! through more frames than any cache holds; "cache" packs the same frame again and again, as one that the
//! decoder has only just written.

// The bench needs no more of the engine than this, and the engine shows it to nobody. Its tests are
// compiled here, too, but for the functions.
#[allow(dead_code, unused_imports)]
#[path = "../src/pack/rows.rs"]
mod rows;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

const WIDTH: usize = 1920;
const HEIGHT: usize = 1080;
/// What decoders leave between the rows of a plane.
const PADDING: usize = 64;
const ROUNDS: usize = 201;
/// Frames that together are larger than the caches. Odd, so that both sides get every frame in turn.
const MANY: usize = 33;

/// One plane of a frame in its decoder's and in its packed form.
struct Plane {
    /// Luma; or Cb, then Cr.
    from: Vec<u8>,
    /// Bytes between rows of `from`.
    from_pitch: usize,
    /// The packed rows, without gaps: as surfaces of this size have them.
    to: Vec<u8>,
    /// Bytes of a packed row.
    row: usize,
}

impl Plane {
    fn new(bytes_per_sample: usize, planes: usize) -> Plane {
        let (width, height) = (WIDTH / planes, HEIGHT / planes);
        let from_pitch = width * bytes_per_sample + PADDING;
        let row = WIDTH * bytes_per_sample;
        let from = (0..from_pitch * height * planes).map(|at| (at % 251) as u8).collect();
        // Written, so that its pages are there.
        Plane { from, from_pitch, to: vec![1; row * height], row }
    }
}

/// Packs a plane.
type Packer = fn(&mut Plane);

fn memcpy(plane: &mut Plane) {
    let length = plane.to.len();
    plane.to.copy_from_slice(&plane.from[..length]);
}

fn luma8(plane: &mut Plane) {
    let rows = plane.to.chunks_exact_mut(plane.row).zip(plane.from.chunks(plane.from_pitch));
    rows.for_each(|(to, from)| to.copy_from_slice(&from[..to.len()]));
}

fn luma10(plane: &mut Plane) {
    let rows = plane.to.chunks_exact_mut(plane.row).zip(plane.from.chunks(plane.from_pitch));
    rows.for_each(|(to, from)| rows::widen(to, &from[..to.len()]));
}

fn chroma8(plane: &mut Plane) {
    chroma(plane, rows::interleave8);
}

fn chroma10(plane: &mut Plane) {
    chroma(plane, rows::interleave10);
}

fn chroma(plane: &mut Plane, interleave: fn(&mut [u8], &[u8], &[u8])) {
    let (pitch, half) = (plane.from_pitch, plane.row / 2);
    let (cb, cr) = plane.from.split_at(plane.from.len() / 2);
    let rows = plane.to.chunks_exact_mut(plane.row).zip(cb.chunks(pitch)).zip(cr.chunks(pitch));
    rows.for_each(|((to, cb), cr)| interleave(to, &cb[..half], &cr[..half]));
}

/// What is compared with memcpy.
struct Case {
    name: &'static str,
    bytes_per_sample: usize,
    planes: usize,
    pack: Packer,
}

const CASES: [Case; 4] = [
    Case { name: "8 bit, luma", bytes_per_sample: 1, planes: 1, pack: luma8 },
    Case { name: "8 bit, chroma", bytes_per_sample: 1, planes: 2, pack: chroma8 },
    Case { name: "10 bit, luma", bytes_per_sample: 2, planes: 1, pack: luma10 },
    Case { name: "10 bit, chroma", bytes_per_sample: 2, planes: 2, pack: chroma10 },
];

/// Medians in microseconds of a frame's plane.
struct Outcome {
    memcpy: f64,
    ours: f64,
}

impl Outcome {
    fn ratio(&self) -> f64 {
        self.ours / self.memcpy
    }
}

fn measure(case: &Case, frames: usize) -> Outcome {
    let mut planes: Vec<_> =
        (0..frames).map(|_| Plane::new(case.bytes_per_sample, case.planes)).collect();
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..2 * ROUNDS {
        // The order changes as well: A B, B A, A B ...
        let which = (round / 2 + round) % 2;
        let plane = black_box(&mut planes[round % frames]);
        let started = Instant::now();
        [memcpy, case.pack][which](plane);
        black_box(&plane.to);
        times[which].push(started.elapsed().as_secs_f64() * 1e6);
    }
    let [memcpy, ours] = times.map(median);
    Outcome { memcpy, ours }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn main() -> ExitCode {
    let mut json = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--json" => json = true,
            // Cargo's own word to every bench.
            "--bench" => {}
            other => {
                eprintln!("pack: no option {other:?}; there is --json");
                return ExitCode::FAILURE;
            }
        }
    }
    let mut entries = Vec::new();
    if !json {
        println!("a plane of a {WIDTH}x{HEIGHT} frame, microseconds:");
        println!("{:<16}{:>8}{:>10}{:>8}{:>8}", "", "", "memcpy", "ours", "ratio");
    }
    for case in &CASES {
        for (place, frames) in [("memory", MANY), ("cache", 1)] {
            let outcome = measure(case, frames);
            let (name, memcpy, ours) = (case.name, outcome.memcpy, outcome.ours);
            if json {
                entries.push(format!(
                    "{{\"case\":\"{name}\",\"from\":\"{place}\",\"memcpy_us\":{memcpy:.1},\
                     \"ours_us\":{ours:.1},\"ratio\":{:.3}}}",
                    outcome.ratio()
                ));
            } else {
                println!("{name:<16}{place:>8}{memcpy:>10.0}{ours:>8.0}{:>8.2}", outcome.ratio());
            }
        }
    }
    if json {
        println!("[{}]", entries.join(","));
    }
    ExitCode::SUCCESS
}

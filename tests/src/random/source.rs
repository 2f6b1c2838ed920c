//! What is encoded: scenes drawn by ffmpeg's own sources, cut together.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::dice::Dice;
use super::shape::Shape;
use crate::process;

const LIMIT: Duration = Duration::from_secs(120);

/// Draws a filter graph without inputs, whose frames are those of `shape`.
pub(super) fn draw(dice: &mut Dice, shape: &Shape) -> String {
    let wanted = if shape.interlaced { shape.frames * 2 } else { shape.frames };
    let scenes = if wanted < 4 { 1 } else { dice.weighted(&[(3, 1), (3, 2), (1, 3)]) };
    let mut parts = String::new();
    let mut labels = String::new();
    let mut left = wanted;
    for scene in 0..scenes {
        let frames = if scene + 1 == scenes { left } else { dice.range(1..=left / 2) };
        left -= frames;
        let picture = picture(dice, shape, &format!("p{scene}"));
        let changes = changes(dice, frames);
        parts.push_str(&format!(
            "{picture},trim=end_frame={frames},setpts=PTS-STARTPTS,format=yuv444p,{changes}setsar=1[s{scene}];"
        ));
        labels.push_str(&format!("[s{scene}]"));
    }
    let (width, height) = (shape.width, shape.height);
    let fields = if shape.interlaced { ",tinterlace=mode=interleave_top" } else { "" };
    // Scaled in the final depth: the sources have 8 bits, the values between come from here.
    let (full, format) = match shape.depth {
        10 => ("yuv444p10le", "yuv420p10le"),
        _ => ("yuv444p", "yuv420p"),
    };
    format!(
        "{parts}{labels}concat=n={scenes}:v=1,format={full},scale={width}:{height}:flags=bicubic,\
         format={format}{fields}"
    )
}

/// One moving picture, larger than wanted. `label` names streams inside.
fn picture(dice: &mut Dice, shape: &Shape, label: &str) -> String {
    let size = |edge: u32| (edge * 5 / 4).max(32).next_multiple_of(4);
    let (width, height) = (size(shape.width), size(shape.height));
    let s = format!("s={width}x{height}:r=30");
    let seed = dice.range(0..=0xffff);
    match dice.range(0..=7) {
        0 => {
            // Costly per pixel, so drawn at half the size.
            let (half_width, half_height) = (width / 4 * 2, height / 4 * 2);
            let end = dice.range(60..=300);
            format!(
                "mandelbrot=s={half_width}x{half_height}:r=30:maxiter=200:end_pts={end},\
                 scale={width}:{height}:flags=bilinear"
            )
        }
        1 => {
            let (hue, speed) = (dice.range(0..=359), dice.signed(-20..=20));
            format!("testsrc2={s},hue=h={hue},rotate=a=t*{speed}/10:fillcolor=gray")
        }
        2 => {
            let (life, death, mold) = (dice.colour(), dice.colour(), dice.colour());
            let ratio = dice.range(1..=5);
            format!(
                "life={s}:random_seed={seed}:ratio=0.{ratio}:mold=8:life_color={life}:\
                 death_color={death}:mold_color={mold}"
            )
        }
        3 => {
            let (colours, speed) = (dice.range(2..=8), dice.range(1..=9));
            format!("{}:speed=0.0{speed}", gradients(dice, &s, colours))
        }
        // Like text that scrolls by.
        4 => {
            let rule = dice.pick(&[30, 90, 110, 126, 150, 182]);
            format!("cellauto={s}:random_seed={seed}:rule={rule}:scroll=1:start_full=1")
        }
        5 => {
            let kind = dice.pick(&["carpet", "triangle"]);
            let jump = dice.range(1..=60);
            format!("sierpinski={s}:seed={seed}:type={kind}:jump={jump}")
        }
        // A texture that pans: motion vectors of every fraction.
        6 => {
            let (h, v) = (dice.signed(-99..=99), dice.signed(-99..=99));
            let (strength, blur) = (dice.range(20..=90), dice.range(5..=20));
            format!(
                "{}:speed=0.01,format=yuv444p,noise=alls={strength}:all_seed={seed},\
                 gblur=sigma={blur}/10,scroll=h={h}/4000:v={v}/4000",
                gradients(dice, &s, 2)
            )
        }
        _ => {
            let (box_width, box_height) = (width / 3 / 2 * 2, height / 3 / 2 * 2);
            let (across, down) = (dice.range(1..=6), dice.range(1..=6));
            format!(
                "{}:speed=0.02[{label}far];testsrc2=s={box_width}x{box_height}:r=30[{label}near];\
                 [{label}far][{label}near]overlay=x='(W-w)*abs(sin({across}*t))':\
                 y='(H-h)*abs(cos({down}*t))'",
                gradients(dice, &s, 3)
            )
        }
    }
}

/// ffmpeg's source of that name. Its seed says where the colours are, not which: those it draws anew
/// in every run unless they are given.
fn gradients(dice: &mut Dice, size: &str, count: u32) -> String {
    let seed = dice.range(0..=0xffff);
    let colours: String =
        (0..count).map(|number| format!(":c{number}={}", dice.colour())).collect();
    format!("gradients={size}:seed={seed}:nb_colors={count}{colours}")
}

/// What happens to a scene of `frames` as it passes: filters that end in a comma, or nothing.
fn changes(dice: &mut Dice, frames: u32) -> String {
    let mut filters = String::new();
    if dice.one_in(4) {
        let (way, colour) = (dice.pick(&["in", "out"]), dice.pick(&["black", "white", "gray"]));
        filters.push_str(&format!("fade=t={way}:s=0:n={}:c={colour},", frames.max(2)));
    }
    if dice.one_in(2) {
        let (strength, seed) = (dice.range(1..=25), dice.range(0..=0xffff));
        filters.push_str(&format!("noise=alls={strength}:allf=t:all_seed={seed},"));
    }
    if dice.one_in(6) {
        filters.push_str("negate,");
    }
    filters
}

/// The ffmpeg command that writes the frames of `graph` as raw video to standard output.
pub(super) fn command(graph: &str, shape: &Shape) -> Vec<String> {
    let frames = shape.frames.to_string();
    ["ffmpeg", "-nostdin", "-v", "error", "-filter_complex", graph, "-frames:v", &frames]
        .into_iter()
        // As the graph gives them: ffmpeg 7 takes 25 a second where a graph does not say how many.
        .chain(["-fps_mode", "passthrough", "-f", "rawvideo", "-"])
        .map(str::to_owned)
        .collect()
}

/// Makes the frames and writes them to `file` as YUV4MPEG2.
///
/// ffmpeg's own writer of that format is wrong for odd widths in 10 bits (5.1), so the headers are
/// written here.
pub(super) fn make(graph: &str, shape: &Shape, file: &Path) -> Result<(), String> {
    let words = command(graph, shape);
    let mut ffmpeg = process::command(&words[0]);
    let done =
        process::run(ffmpeg.args(&words[1..]), LIMIT).map_err(|e| format!("no source: {e}"))?;
    let bytes = shape.frame_bytes();
    if !done.status.success() || done.stdout.len() != bytes * shape.frames as usize {
        let (got, ending) = (done.stdout.len(), done.ending());
        return Err(format!(
            "no source: ffmpeg ended with {ending} after {got} bytes, frames have {bytes}: {}",
            done.log_tail(5)
        ));
    }
    let mut y4m = header(shape).into_bytes();
    for frame in done.stdout.chunks_exact(bytes) {
        y4m.extend_from_slice(b"FRAME\n");
        y4m.extend_from_slice(frame);
    }
    fs::write(file, y4m).map_err(|e| format!("{}: {e}", file.display()))
}

fn header(shape: &Shape) -> String {
    let order = if shape.interlaced { 't' } else { 'p' };
    let chroma = if shape.depth == 10 { "420p10 XYSCSS=420P10" } else { "420jpeg XYSCSS=420JPEG" };
    format!("YUV4MPEG2 W{} H{} F30:1 I{order} A1:1 C{chroma}\n", shape.width, shape.height)
}

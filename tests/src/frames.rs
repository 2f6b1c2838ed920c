//! Lists of frames and where two of them part.

use std::fmt;

/// One output frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Width and height in pixels, visible area.
    pub size: (u32, u32),
    /// MD5 over the visible area as NV12 or P010, in lower-case hexadecimal.
    pub md5: String,
}

/// Where two lists of frame MD5s part.
#[derive(Debug, PartialEq, Eq)]
pub enum Difference {
    /// This frame (counted from 0, in output order) differs.
    At {
        /// Its number.
        frame: usize,
        /// The expected MD5.
        expected: String,
        /// The MD5 that came.
        got: String,
        /// The number of the expected frame that has the MD5 that came: a frame in the wrong place.
        elsewhere: Option<usize>,
    },
    /// All frames that came are right, but their number is not.
    Count {
        /// How many were expected.
        expected: usize,
        /// How many came.
        got: usize,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::At { frame, expected, got, elsewhere } => {
                write!(f, "first difference at frame {frame}: {got}, expected {expected}")?;
                match elsewhere {
                    Some(other) => write!(f, " (what came is frame {other})"),
                    None => Ok(()),
                }
            }
            Difference::Count { expected, got } => write!(f, "{got} frames, expected {expected}"),
        }
    }
}

/// Compares frame by frame: `None` when both lists are the same.
pub fn compare(expected: &[Frame], got: &[String]) -> Option<Difference> {
    for (frame, (want, have)) in expected.iter().zip(got).enumerate() {
        if want.md5 != *have {
            let elsewhere = expected.iter().position(|other| other.md5 == *have);
            return Some(Difference::At {
                frame,
                expected: want.md5.clone(),
                got: have.clone(),
                elsewhere,
            });
        }
    }
    (expected.len() != got.len())
        .then_some(Difference::Count { expected: expected.len(), got: got.len() })
}

/// Whether all of `expected` are there in order, whatever else is.
pub fn are_among(expected: &[Frame], got: &[String]) -> bool {
    let mut got = got.iter();
    !expected.is_empty() && expected.iter().all(|want| got.any(|have| *have == want.md5))
}

/// The MD5s in the output of ffmpeg's `framemd5` muxer, in order.
pub fn parse_framemd5(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit(',').next().map(str::trim))
        .filter(|md5| md5.len() == 32 && md5.bytes().all(|b| b.is_ascii_hexdigit()))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(md5s: &[&str]) -> Vec<Frame> {
        md5s.iter().map(|md5| Frame { size: (2, 2), md5: (*md5).into() }).collect()
    }

    fn strings(md5s: &[&str]) -> Vec<String> {
        md5s.iter().map(|md5| (*md5).into()).collect()
    }

    #[test]
    fn equal_lists_do_not_differ() {
        assert_eq!(compare(&frames(&["a", "b"]), &strings(&["a", "b"])), None);
    }

    #[test]
    fn a_swapped_frame_is_found_and_placed() {
        let found = compare(&frames(&["a", "b", "c"]), &strings(&["a", "c", "b"])).unwrap();
        assert!(matches!(found, Difference::At { frame: 1, elsewhere: Some(2), .. }), "{found}");
    }

    #[test]
    fn frames_among_others_are_found_in_order() {
        let expected = frames(&["b", "d"]);
        assert!(are_among(&expected, &strings(&["a", "b", "c", "d"])));
        assert!(!are_among(&expected, &strings(&["d", "b"])));
        assert!(!are_among(&expected, &strings(&["b"])));
        assert!(!are_among(&[], &strings(&["b"])));
    }

    #[test]
    fn missing_and_extra_frames_are_differences() {
        assert!(matches!(
            compare(&frames(&["a", "b"]), &strings(&["a"])),
            Some(Difference::Count { expected: 2, got: 1 })
        ));
        assert!(matches!(
            compare(&frames(&["a"]), &strings(&["a", "a"])),
            Some(Difference::Count { expected: 1, got: 2 })
        ));
        assert!(compare(&frames(&["a"]), &[]).is_some());
    }

    #[test]
    fn framemd5_is_read_without_its_header() {
        let text = "#format: frame checksums\n#tb 0: 1/25\n\
            0,          0,          0,        1,   152064, 0123456789abcdef0123456789abcdef\n";
        assert_eq!(parse_framemd5(text), ["0123456789abcdef0123456789abcdef"]);
    }
}

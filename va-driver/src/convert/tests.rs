//! Copies checked against a slow model that looks at one sample at a time.

use super::*;

const EIGHT_BIT: [Format; 3] = [Format::Nv12, Format::I420, Format::Yv12];

/// A picture whose samples all differ from their neighbours, in memory with a seam around each plane.
struct Sample {
    layout: Layout,
    bytes: Vec<u8>,
}

impl Sample {
    fn new(format: Format, width: u32, height: u32, seed: usize) -> Sample {
        let mut layout = Layout::new(format, width, height).unwrap();
        for (index, plane) in layout.planes.iter_mut().enumerate() {
            plane.offset += 7 * (index + 1);
        }
        let size = layout.data_size().unwrap();
        let bytes = (0..size).map(|i| ((i + seed) * 37 % 251) as u8).collect();
        Sample { layout, bytes }
    }

    /// Where a sample lies: component 0 is luma, 1 Cb, 2 Cr; `x` and `y` count that component's samples.
    fn at(&self, component: usize, x: u32, y: u32) -> usize {
        let (plane, column) = match (self.layout.format, component) {
            (Format::Nv12, 0) | (Format::I420, 0) | (Format::Yv12, 0) => (0, x),
            (Format::P010, 0) => (0, 2 * x),
            (Format::Nv12, c) => (1, 2 * x + c as u32 - 1),
            (Format::P010, c) => (1, 4 * x + 2 * (c as u32 - 1)),
            (Format::I420, c) => (c, x),
            (Format::Yv12, c) => (3 - c, x),
        };
        let plane = self.layout.planes[plane];
        plane.offset + y as usize * plane.pitch + column as usize
    }

    fn copy_sample(&mut self, component: usize, to: (u32, u32), src: &Sample, from: (u32, u32)) {
        let (to, from) = (self.at(component, to.0, to.1), src.at(component, from.0, from.1));
        let bytes = self.layout.format.bytes_per_sample();
        self.bytes[to..to + bytes].copy_from_slice(&src.bytes[from..from + bytes]);
    }

    /// The rule of `copy_region`, sample by sample. Going backwards makes each block's first touched
    /// sample the one that decides.
    fn model(&mut self, src: &Sample, rect: Rect, (x, y): (u32, u32)) {
        for row in (0..rect.height).rev() {
            for column in (0..rect.width).rev() {
                let (to, from) = ((x + column, y + row), (rect.x + column, rect.y + row));
                self.copy_sample(0, to, src, from);
                for component in [1, 2] {
                    let half = |(x, y): (u32, u32)| (x / 2, y / 2);
                    self.copy_sample(component, half(to), src, half(from));
                }
            }
        }
    }
}

fn pairs() -> impl Iterator<Item = (Format, Format)> {
    let mixed = EIGHT_BIT.into_iter().flat_map(|a| EIGHT_BIT.into_iter().map(move |b| (a, b)));
    mixed.chain([(Format::P010, Format::P010)])
}

#[test]
fn copies_equal_the_model_for_all_formats_parities_and_small_sizes() {
    for (from, to) in pairs() {
        let src = Sample::new(from, 9, 7, 3);
        for n in 0..4u32.pow(2) * 2u32.pow(4) {
            let bit = |shift: u32| (n >> shift) & 1;
            let rect =
                Rect { x: bit(0), y: bit(1), width: 1 + (n >> 4) % 4, height: 1 + (n >> 6) % 4 };
            let at = (bit(2), bit(3));
            let mut copied = Sample::new(to, 8, 9, 101);
            let mut modelled = Sample::new(to, 8, 9, 101);
            modelled.model(&src, rect, at);
            let dst_layout = copied.layout;
            copy_region(&src.bytes, &src.layout, rect, &mut copied.bytes, &dst_layout, at).unwrap();
            let first = copied.bytes.iter().zip(&modelled.bytes).position(|(a, b)| a != b);
            assert_eq!(first, None, "{from:?} -> {to:?}, {rect:?} to {at:?}");
        }
    }
}

#[test]
fn a_whole_odd_sized_picture_survives_a_round_trip() {
    let whole = Rect { x: 0, y: 0, width: 17, height: 11 };
    for (from, to) in pairs() {
        let src = Sample::new(from, 17, 11, 5);
        let mut there = Sample::new(to, 17, 11, 77);
        let mut back = Sample::new(from, 17, 11, 5);
        for component in 0..3 {
            let (width, height) = if component == 0 { (17, 11) } else { (9, 6) };
            for at in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
                let at = back.at(component, at.0, at.1);
                // A 10-bit sample's lower byte is spoilt, which suffices.
                back.bytes[at] ^= 0xff;
            }
        }
        let (src_layout, there_layout) = (src.layout, there.layout);
        copy_region(&src.bytes, &src_layout, whole, &mut there.bytes, &there_layout, (0, 0))
            .unwrap();
        copy_region(&there.bytes, &there_layout, whole, &mut back.bytes, &src_layout, (0, 0))
            .unwrap();
        assert!(back.bytes == src.bytes, "{from:?} -> {to:?} -> {from:?}");
    }
}

#[test]
fn a_change_of_depth_is_refused() {
    for format in EIGHT_BIT {
        let (eight, ten) = (Sample::new(format, 4, 4, 0), Sample::new(Format::P010, 4, 4, 0));
        let rect = Rect { x: 0, y: 0, width: 4, height: 4 };
        let mut out = ten.bytes.clone();
        assert_eq!(
            copy_region(&eight.bytes, &eight.layout, rect, &mut out, &ten.layout, (0, 0)),
            Err(Error::Depth(format, Format::P010))
        );
        let mut out = eight.bytes.clone();
        assert_eq!(
            copy_region(&ten.bytes, &ten.layout, rect, &mut out, &eight.layout, (0, 0)),
            Err(Error::Depth(Format::P010, format))
        );
    }
}

#[test]
fn rectangles_outside_either_picture_are_refused_and_nothing_is_written() {
    let src = Sample::new(Format::Nv12, 8, 8, 0);
    let small = Sample::new(Format::I420, 4, 4, 1);
    let rect = |x, y, width, height| Rect { x, y, width, height };
    for (rect, at) in [
        (rect(5, 0, 4, 4), (0, 0)),
        (rect(0, 8, 1, 1), (0, 0)),
        (rect(0, 0, 4, 4), (1, 0)),
        (rect(0, 0, 4, 4), (0, 1)),
        (rect(u32::MAX, 0, 2, 1), (0, 0)),
        (rect(0, 0, 2, 1), (u32::MAX, u32::MAX)),
        (rect(0, 0, u32::MAX, u32::MAX), (0, 0)),
    ] {
        let mut out = small.bytes.clone();
        let result = copy_region(&src.bytes, &src.layout, rect, &mut out, &small.layout, at);
        assert!(matches!(result, Err(Error::Outside(..))), "{rect:?} {at:?} {result:?}");
        assert_eq!(out, small.bytes);
    }
}

#[test]
fn an_empty_rectangle_copies_nothing() {
    let src = Sample::new(Format::Nv12, 8, 8, 0);
    let mut dst = Sample::new(Format::Nv12, 8, 8, 9);
    let before = dst.bytes.clone();
    let rect = Rect { x: 8, y: 8, width: 0, height: 0 };
    let layout = dst.layout;
    copy_region(&src.bytes, &src.layout, rect, &mut dst.bytes, &layout, (3, 3)).unwrap();
    assert_eq!(dst.bytes, before);
}

#[test]
fn memory_that_is_too_short_is_refused() {
    let src = Sample::new(Format::Nv12, 8, 8, 0);
    let dst = Sample::new(Format::I420, 8, 8, 1);
    let rect = Rect { x: 0, y: 0, width: 1, height: 1 };
    let mut out = dst.bytes.clone();
    // Eight luma rows, room for 16, four chroma rows, of 64 bytes each: one row too few.
    for length in [0, 1, 64 * 8, 64 * 16, 64 * 19] {
        let short = &src.bytes[..length];
        let result = copy_region(short, &src.layout, rect, &mut out, &dst.layout, (0, 0));
        assert!(matches!(result, Err(Error::Memory { .. })), "{length}: {result:?}");
    }
    let short = dst.layout.planes[2].offset + 64 * 3;
    let result = copy_region(&src.bytes, &src.layout, rect, &mut out[..short], &dst.layout, (0, 0));
    assert!(matches!(result, Err(Error::Memory { plane: 2, .. })));
}

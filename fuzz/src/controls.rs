//! Requests of controls and coded bytes, in a fuzzer's bytes.

use daedalus_uapi::{Codec, Controls, av1, h264, vp9};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::input::{Input, Output};

/// What a bitstream writer is given.
#[derive(Clone, Debug)]
pub struct Request {
    /// Names the picture.
    pub timestamp: u64,
    /// The controls.
    pub controls: Controls,
    /// The coded bytes.
    pub data: Vec<u8>,
}

impl Request {
    /// The next request.
    pub fn read(codec: Codec, input: &mut Input<'_>) -> Request {
        let timestamp = u64::from(input.u16()) * 1000;
        let controls = match codec {
            Codec::H264 => Controls::H264(Box::new(h264::Controls {
                sps: control(input),
                pps: control(input),
                scaling_matrix: control(input),
                decode_params: control(input),
            })),
            Codec::Vp9 => Controls::Vp9(Box::new(vp9::Controls {
                frame: control(input),
                compressed_hdr: control(input),
            })),
            Codec::Av1 => Controls::Av1(Box::new(av1::Controls {
                sequence: control(input),
                frame: control(input),
                film_grain: control(input),
                tiles: (0..input.u8()).map(|_| control(input)).collect(),
            })),
        };
        Request { timestamp, controls, data: input.block().to_vec() }
    }

    /// Writes what [`Request::read`] reads.
    pub fn write(&self, output: &mut Output) {
        output.u16((self.timestamp / 1000) as u16);
        match &self.controls {
            Controls::H264(controls) => {
                output.padded(controls.sps.as_bytes());
                output.padded(controls.pps.as_bytes());
                output.padded(controls.scaling_matrix.as_bytes());
                output.padded(controls.decode_params.as_bytes());
            }
            Controls::Vp9(controls) => {
                output.padded(controls.frame.as_bytes());
                output.padded(controls.compressed_hdr.as_bytes());
            }
            Controls::Av1(controls) => {
                output.padded(controls.sequence.as_bytes());
                output.padded(controls.frame.as_bytes());
                output.padded(controls.film_grain.as_bytes());
                let tiles = &controls.tiles[..controls.tiles.len().min(255)];
                output.u8(tiles.len() as u8);
                tiles.iter().for_each(|tile| output.padded(tile.as_bytes()));
            }
        }
        output.block(&self.data);
    }
}

/// One control, or another struct of plain numbers.
pub fn control<T: FromBytes + Immutable>(input: &mut Input<'_>) -> T {
    T::read_from_bytes(&input.padded(size_of::<T>())).expect("padded to its size")
}

//! The compressed header, VP9 sections 6.3 and 9.2, as V4L2's control has it. FFmpeg's trace_headers
//! and cros-codecs stop before it, so it is read here, bit by bit as the specification has it.

use daedalus_uapi::{
    FromZeros,
    vp9::{self, CompressedHdr},
};

use super::header::{Header, SWITCHABLE};

/// The boolean decoder (9.2.1 and 9.2.2): BoolValue, BoolRange and the bits that follow.
struct Bool<'d> {
    value: u32,
    range: u32,
    data: &'d [u8],
    bit: usize,
}

impl<'d> Bool<'d> {
    fn new(data: &'d [u8]) -> Result<Self, String> {
        let first = *data.first().ok_or("an empty compressed header")?;
        let mut bool = Bool { value: first.into(), range: 255, data, bit: 8 };
        if bool.read(128) { Err("marker_bit is set".into()) } else { Ok(bool) }
    }

    fn next_bit(&mut self) -> u32 {
        // Zeros follow the data.
        let byte = self.data.get(self.bit / 8).copied().unwrap_or(0);
        let bit = byte >> (7 - self.bit % 8) & 1;
        self.bit += 1;
        bit.into()
    }

    /// read_bool( p )
    fn read(&mut self, p: u8) -> bool {
        let split = 1 + (((self.range - 1) * u32::from(p)) >> 8);
        let set = self.value >= split;
        if set {
            self.range -= split;
            self.value -= split;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.range *= 2;
            self.value = self.value * 2 + self.next_bit();
        }
        set
    }

    /// read_literal( n )
    fn literal(&mut self, n: u32) -> u32 {
        (0..n).fold(0, |value, _| 2 * value + u32::from(self.read(128)))
    }

    /// delta_prob of diff_update_prob(), through inv_map_table (6.3.3 to 6.3.5).
    fn update(&mut self, to: &mut u8) {
        if !self.read(252) {
            return;
        }
        let index = if !self.read(128) {
            self.literal(4)
        } else if !self.read(128) {
            16 + self.literal(4)
        } else if !self.read(128) {
            32 + self.literal(5)
        } else {
            match self.literal(7) {
                v if v < 65 => 64 + v,
                v => (v << 1) - 1 + self.literal(1),
            }
        };
        // 6.3.5: 20 values that are 13 apart, then those that are left over.
        let coarse = (0..20).map(|i| 7 + 13 * i);
        let fine = (1..=253).filter(|v| v % 13 != 7);
        *to = coarse.chain(fine).nth(index.min(253) as usize).unwrap_or_default() as u8;
    }

    fn updates<'p>(&mut self, all: impl IntoIterator<Item = &'p mut u8>) {
        all.into_iter().for_each(|to| self.update(to));
    }

    /// update_mv_prob(): a new value (6.3.17).
    fn mv<'p>(&mut self, all: impl IntoIterator<Item = &'p mut u8>) {
        for to in all {
            if self.read(252) {
                *to = (self.literal(7) << 1 | 1) as u8;
            }
        }
    }
}

/// The control, and reference_mode, which is a field of the other one.
pub fn parse(data: &[u8], header: &Header) -> Result<(CompressedHdr, u8), String> {
    let mut hdr = CompressedHdr::new_zeroed();
    let mut b = Bool::new(data)?;
    // 6.3.1
    let quant = &header.control.quant;
    let deltas = [quant.delta_q_y_dc, quant.delta_q_uv_dc, quant.delta_q_uv_ac];
    let lossless = quant.base_q_idx == 0 && deltas == [0; 3];
    if !lossless {
        hdr.tx_mode = b.literal(2) as u8;
        if hdr.tx_mode == 3 {
            hdr.tx_mode += b.literal(1) as u8;
        }
        if hdr.tx_mode == 4 {
            b.updates(hdr.tx8.as_flattened_mut());
            b.updates(hdr.tx16.as_flattened_mut());
            b.updates(hdr.tx32.as_flattened_mut());
        }
    }
    // 6.3.7: up to the largest transform that tx_mode allows.
    for tx_size in 0..=usize::from(hdr.tx_mode.min(3)) {
        if b.literal(1) == 0 {
            continue;
        }
        for plane in &mut hdr.coef[tx_size] {
            for reference in plane {
                for (band, contexts) in reference.iter_mut().enumerate() {
                    for context in contexts.iter_mut().take(if band == 0 { 3 } else { 6 }) {
                        b.updates(context);
                    }
                }
            }
        }
    }
    b.updates(&mut hdr.skip);
    let mut reference_mode = 0;
    if !header.intra {
        b.updates(hdr.inter_mode.as_flattened_mut());
        if header.control.interpolation_filter == SWITCHABLE {
            b.updates(hdr.interp_filter.as_flattened_mut());
        }
        b.updates(&mut hdr.is_inter);
        // 6.3.12: compound prediction needs references on both sides.
        let biases = header.control.ref_frame_sign_bias;
        let all = vp9::SIGN_BIAS_LAST | vp9::SIGN_BIAS_GOLDEN | vp9::SIGN_BIAS_ALT;
        if biases != 0 && biases != all {
            reference_mode = match b.literal(1) {
                0 => 0,
                _ => 1 + b.literal(1) as u8,
            };
        }
        if reference_mode == 2 {
            b.updates(&mut hdr.comp_mode);
        }
        if reference_mode != 1 {
            b.updates(hdr.single_ref.as_flattened_mut());
        }
        if reference_mode != 0 {
            b.updates(&mut hdr.comp_ref);
        }
        b.updates(hdr.y_mode.as_flattened_mut());
        b.updates(hdr.partition.as_flattened_mut());
        // 6.3.16
        let mv = &mut hdr.mv;
        b.mv(&mut mv.joint);
        for i in 0..2 {
            b.mv([&mut mv.sign[i]]);
            b.mv(&mut mv.classes[i]);
            b.mv([&mut mv.class0_bit[i]]);
            b.mv(&mut mv.bits[i]);
        }
        for i in 0..2 {
            b.mv(mv.class0_fr[i].as_flattened_mut());
            b.mv(&mut mv.fr[i]);
        }
        if header.control.flags & vp9::FRAME_ALLOW_HIGH_PREC_MV != 0 {
            for i in 0..2 {
                b.mv([&mut mv.class0_hp[i]]);
                b.mv([&mut mv.hp[i]]);
            }
        }
    }
    Ok((hdr, reference_mode))
}

//! The uncompressed header, VP9 section 6.2: syntax elements → what they mean, with what persists from
//! frame to frame (7.2).

use daedalus_uapi::{FromZeros, vp9 as uapi};

use super::flags;
use crate::syntax::Syntax;

/// V4L2_VP9_INTERP_FILTER_SWITCHABLE.
pub const SWITCHABLE: u8 = 4;

/// A frame's header.
pub struct Header {
    /// The control, but for the references and what the compressed header says.
    pub control: uapi::Frame,
    /// FrameIsIntra.
    pub intra: bool,
    /// Slots: last, golden, alternate reference.
    pub ref_frame_idx: [usize; 3],
    pub refresh_frame_flags: u8,
}

/// What persists.
pub struct State {
    /// Sizes of the pictures in the slots.
    sizes: [(i64, i64); 8],
    /// BitDepth and color_range of the last color_config().
    color: (u8, bool),
    lf: uapi::LoopFilter,
    seg: uapi::Segmentation,
}

impl State {
    pub fn new() -> Self {
        State {
            sizes: [(0, 0); 8],
            color: (8, false),
            lf: uapi::LoopFilter::new_zeroed(),
            seg: uapi::Segmentation::new_zeroed(),
        }
    }

    /// Reads the header of a frame that is decoded.
    pub fn header(&mut self, s: &Syntax) -> Result<Header, String> {
        let key = s.get("frame_type") == Some(0);
        let intra = key || s.flag("intra_only");
        let resilient = s.flag("error_resilient_mode");
        let mut control = uapi::Frame::new_zeroed();
        control.profile =
            s.or_zero::<u8>("profile_low_bit") + 2 * s.or_zero::<u8>("profile_high_bit");
        if s.get("color_space").is_some() {
            self.color = (
                match (control.profile, s.flag("ten_or_twelve_bit")) {
                    (0 | 1, _) => 8,
                    (_, false) => 10,
                    (_, true) => 12,
                },
                s.flag("color_range"),
            );
        } else if intra {
            // An intra-only frame of profile 0 has 8 bits and says nothing of the range.
            self.color.0 = 8;
        }
        control.bit_depth = self.color.0;
        let slot = |i: usize| s.or_zero::<u8>(&format!("ref_frame_idx[{i}]"));
        let ref_frame_idx = [slot(0), slot(1), slot(2)].map(usize::from);
        let (width, height) = self.size(s, &ref_frame_idx)?;
        let different = s.flag("render_and_frame_size_different");
        let coded = (s.or_zero("render_width_minus_1"), s.or_zero("render_height_minus_1"));
        let render = if different { coded } else { (width, height) };
        control.frame_width_minus_1 = width as u16;
        control.frame_height_minus_1 = height as u16;
        control.render_width_minus_1 = render.0 as u16;
        control.render_height_minus_1 = render.1 as u16;

        // setup_past_independence()
        if intra || resilient {
            self.lf.ref_deltas = [1, 0, -1, -1];
            self.lf.mode_deltas = [0, 0];
            self.seg = uapi::Segmentation::new_zeroed();
        }
        self.loop_filter(s);
        self.segmentation(s);
        (control.lf, control.seg) = (self.lf, self.seg);
        control.quant.base_q_idx = s.or_zero("base_q_idx");
        control.quant.delta_q_y_dc = s.or_zero("delta_q_y_dc.delta_q");
        control.quant.delta_q_uv_dc = s.or_zero("delta_q_uv_dc.delta_q");
        control.quant.delta_q_uv_ac = s.or_zero("delta_q_uv_ac.delta_q");
        control.flags = flags(&[
            (key, uapi::FRAME_KEY_FRAME),
            (s.flag("show_frame"), uapi::FRAME_SHOW_FRAME),
            (resilient, uapi::FRAME_ERROR_RESILIENT),
            (s.flag("intra_only"), uapi::FRAME_INTRA_ONLY),
            (s.flag("allow_high_precision_mv"), uapi::FRAME_ALLOW_HIGH_PREC_MV),
            (s.flag("refresh_frame_context"), uapi::FRAME_REFRESH_FRAME_CTX),
            (resilient || s.flag("frame_parallel_decoding_mode"), uapi::FRAME_PARALLEL_DEC_MODE),
            // 4:2:0 is what profiles 0 and 2 have.
            (control.profile % 2 == 0, uapi::FRAME_X_SUBSAMPLING | uapi::FRAME_Y_SUBSAMPLING),
            (self.color.1, uapi::FRAME_COLOR_RANGE_FULL_SWING),
        ]);
        let bias = |i: usize| s.flag(&format!("ref_frame_sign_bias[{i}]"));
        control.ref_frame_sign_bias = flags(&[
            (bias(1), uapi::SIGN_BIAS_LAST.into()),
            (bias(2), uapi::SIGN_BIAS_GOLDEN.into()),
            (bias(3), uapi::SIGN_BIAS_ALT.into()),
        ]) as u8;
        // V4L2_VP9_RESET_FRAME_CTX_NONE is 0, _SPEC 1, _ALL 2; the syntax has 0 and 1 for none (7.2).
        control.reset_frame_context = s.or_zero::<u8>("reset_frame_context").max(1) - 1;
        control.frame_context_idx = s.or_zero("frame_context_idx");
        control.interpolation_filter = match s.get("raw_interpolation_filter_type") {
            // literal_to_type (6.2.7): smooth, regular, sharp, bilinear.
            Some(raw) => [1, 0, 2, 3][raw as usize],
            None if s.flag("is_filter_switchable") => SWITCHABLE,
            None => 0,
        };
        control.tile_cols_log2 = s.or_zero("tile_cols_log2");
        control.tile_rows_log2 = s.or_zero("tile_rows_log2");
        control.compressed_header_size = s.or_zero("header_size_in_bytes");
        let last = s.position("header_size_in_bytes").ok_or("a header that is cut short")?;
        control.uncompressed_header_size = (last + 16).div_ceil(8) as u16;

        let refresh_frame_flags = if key { 0xff } else { s.or_zero("refresh_frame_flags") };
        for (i, size) in self.sizes.iter_mut().enumerate() {
            if refresh_frame_flags >> i & 1 != 0 {
                *size = (width, height);
            }
        }
        Ok(Header { control, intra, ref_frame_idx, refresh_frame_flags })
    }

    /// frame_size() or frame_size_with_refs(): width and height minus 1.
    fn size(&self, s: &Syntax, ref_frame_idx: &[usize; 3]) -> Result<(i64, i64), String> {
        if let Some(i) = (0..3).find(|i| s.flag(&format!("found_ref[{i}]"))) {
            return Ok(self.sizes[ref_frame_idx[i]]);
        }
        let size = (s.get("frame_width_minus_1"), s.get("frame_height_minus_1"));
        size.0.zip(size.1).ok_or_else(|| "a frame without size".into())
    }

    /// loop_filter_params(): deltas that are not coded stay.
    fn loop_filter(&mut self, s: &Syntax) {
        self.lf.level = s.or_zero("loop_filter_level");
        self.lf.sharpness = s.or_zero("loop_filter_sharpness");
        self.lf.flags = flags(&[
            (s.flag("loop_filter_delta_enabled"), uapi::LOOP_FILTER_DELTA_ENABLED.into()),
            (s.flag("loop_filter_delta_update"), uapi::LOOP_FILTER_DELTA_UPDATE.into()),
        ]) as u8;
        let coded = |name: &str, i: usize| s.get(&format!("loop_filter_{name}_deltas[{i}]"));
        for (i, delta) in self.lf.ref_deltas.iter_mut().enumerate() {
            *delta = coded("ref", i).map_or(*delta, |coded| coded as i8);
        }
        for (i, delta) in self.lf.mode_deltas.iter_mut().enumerate() {
            *delta = coded("mode", i).map_or(*delta, |coded| coded as i8);
        }
    }

    /// segmentation_params(): features stay if they are not updated, probabilities do not.
    fn segmentation(&mut self, s: &Syntax) {
        let prob = |name: &str, i: usize| match s.get(&format!("{name}[{i}].prob")) {
            Some(coded) => coded as u8,
            None => 255,
        };
        self.seg.tree_probs = std::array::from_fn(|i| prob("segmentation_tree_probs", i));
        self.seg.pred_probs = std::array::from_fn(|i| prob("segmentation_pred_prob", i));
        let absolute = if s.flag("segmentation_update_data") {
            self.seg.feature_enabled = [0; 8];
            self.seg.feature_data = [[0; 4]; 8];
            for i in 0..8 {
                for j in 0..4 {
                    if s.flag(&format!("feature_enabled[{i}][{j}]")) {
                        self.seg.feature_enabled[i] |= 1 << j;
                        let value: i16 = s.or_zero(&format!("feature_value[{i}][{j}]"));
                        let negative = s.flag(&format!("feature_sign[{i}][{j}]"));
                        self.seg.feature_data[i][j] = if negative { -value } else { value };
                    }
                }
            }
            s.flag("segmentation_abs_or_delta_update")
        } else {
            self.seg.flags & uapi::SEGMENTATION_ABS_OR_DELTA_UPDATE != 0
        };
        self.seg.flags = flags(&[
            (s.flag("segmentation_enabled"), uapi::SEGMENTATION_ENABLED.into()),
            (s.flag("segmentation_update_map"), uapi::SEGMENTATION_UPDATE_MAP.into()),
            (s.flag("segmentation_temporal_update"), uapi::SEGMENTATION_TEMPORAL_UPDATE.into()),
            (s.flag("segmentation_update_data"), uapi::SEGMENTATION_UPDATE_DATA.into()),
            (absolute, uapi::SEGMENTATION_ABS_OR_DELTA_UPDATE.into()),
        ]) as u8;
    }
}

//! What VA cannot tell: the table of fields in which the driver's controls may differ from a parser's.

use super::Mask;

/// `docs/controls.md` has the same table.
pub const MASKS: &[Mask] = &[
    Mask {
        field: "h264.sps.profile_idc",
        reason: "VA has the profile of the config only. The driver sends the lowest profile that \
                 has what the picture uses; tools are switched by fields of their own.",
        unseen: Some("every stream of the core has the lowest profile for its tools"),
    },
    Mask {
        field: "h264.sps.constraint_set_flags.SET0",
        reason: "VA has no constraint flags. They restate what the stream does not use; nothing \
                 is decoded by them.",
        unseen: None,
    },
    Mask { field: "h264.sps.constraint_set_flags.SET1", reason: "As SET0.", unseen: None },
    Mask { field: "h264.sps.constraint_set_flags.SET2", reason: "As SET0.", unseen: None },
    Mask {
        field: "h264.sps.constraint_set_flags.SET3",
        reason: "As SET0; with level 1b and the intra profiles it says how much a decoder must \
                 hold, which the frame size and max_num_ref_frames say better.",
        unseen: None,
    },
    Mask {
        field: "h264.sps.level_idc",
        reason: "VA has no level. The driver sends the lowest level with room for the frame size \
                 and references; a level bounds what a decoder may have to do and changes no \
                 sample.",
        unseen: None,
    },
    Mask {
        field: "h264.sps.seq_parameter_set_id",
        reason: "VA has no SPS id. A request has one SPS; the driver calls it 0 and lets the PPS \
                 refer to that.",
        unseen: Some("every stream of the core has the id 0"),
    },
    Mask {
        field: "h264.sps.num_ref_frames_in_pic_order_cnt_cycle",
        reason: "VA lacks the offsets of picture order count type 1. The counts that they lead to \
                 are in the decode parameters and the DPB.",
        unseen: Some("no stream of the core has type 1"),
    },
    Mask {
        field: "h264.sps.offset_for_ref_frame",
        reason: "As num_ref_frames_in_pic_order_cnt_cycle.",
        unseen: Some("no stream of the core has type 1"),
    },
    Mask {
        field: "h264.sps.offset_for_non_ref_pic",
        reason: "As num_ref_frames_in_pic_order_cnt_cycle.",
        unseen: Some("no stream of the core has type 1"),
    },
    Mask {
        field: "h264.sps.offset_for_top_to_bottom_field",
        reason: "As num_ref_frames_in_pic_order_cnt_cycle.",
        unseen: Some("no stream of the core has type 1"),
    },
    Mask {
        field: "h264.sps.flags.SEPARATE_COLOUR_PLANE",
        reason: "VA-API profiles with 4:4:4 do not exist for H.264: such streams are refused.",
        unseen: Some("no such stream reaches the driver"),
    },
    Mask {
        field: "h264.sps.flags.QPPRIME_Y_ZERO_TRANSFORM_BYPASS",
        reason: "VA has no word for the lossless mode of High 4:4:4 Predictive: such streams are \
                 refused.",
        unseen: Some("no such stream reaches the driver"),
    },
    Mask {
        field: "h264.pps.seq_parameter_set_id",
        reason: "As h264.sps.seq_parameter_set_id.",
        unseen: Some("every stream of the core has the id 0"),
    },
    Mask {
        field: "h264.pps.num_slice_groups_minus1",
        reason: "Slice groups are refused: VA does not have their map, and neither has V4L2.",
        unseen: Some("no such stream reaches the driver"),
    },
    Mask {
        field: "h264.pps.num_ref_idx_l0_default_active_minus1",
        reason: "VA has the effective number of each slice. The driver learns the default from \
                 slices that do not override it; in pictures whose slices all do, nobody looks at \
                 it.",
        unseen: None,
    },
    Mask {
        field: "h264.pps.num_ref_idx_l1_default_active_minus1",
        reason: "As num_ref_idx_l0_default_active_minus1.",
        unseen: None,
    },
    Mask {
        field: "h264.pps.flags.SCALING_MATRIX_PRESENT",
        reason: "VA has the lists that apply, not whether they are coded. The driver sets the \
                 flag if they are not flat; flat lists change nothing.",
        unseen: Some("no stream of the core codes flat lists"),
    },
    Mask {
        field: "h264.scaling_matrix.scaling_list_8x8.chroma",
        reason: "VA has the two 8x8 lists of luma. Chroma has 8x8 transforms in 4:4:4 only; the \
                 driver repeats the lists of luma.",
        unseen: None,
    },
    Mask {
        field: "h264.decode_params.slice_group_change_cycle",
        reason: "As h264.pps.num_slice_groups_minus1.",
        unseen: Some("no such stream reaches the driver"),
    },
    Mask {
        field: "h264.decode_params.order_cnt_base",
        reason: "Clients may count the order from a number of their own (ffmpeg: from 65536). The \
                 counts of a picture and its references are compared after taking that off; \
                 decoders use differences only.",
        unseen: None,
    },
    Mask {
        field: "av1.sequence.max_frame_width_minus_1",
        reason: "VA has the size of each frame only. The driver sends the largest and says in \
                 each frame that it has a size of its own.",
        unseen: None,
    },
    Mask {
        field: "av1.sequence.max_frame_height_minus_1",
        reason: "As max_frame_width_minus_1.",
        unseen: None,
    },
    Mask {
        field: "av1.sequence.flags.ENABLE_WARPED_MOTION",
        reason: "VA lacks the switch. It only allows allow_warped_motion in frame headers, which \
                 VA has.",
        unseen: None,
    },
    Mask {
        field: "av1.sequence.flags.ENABLE_REF_FRAME_MVS",
        reason: "VA lacks the switch. It only allows use_ref_frame_mvs in frame headers, which VA \
                 has.",
        unseen: None,
    },
    Mask {
        field: "av1.sequence.flags.ENABLE_SUPERRES",
        reason: "VA lacks the switch. It only allows use_superres in frame headers, which VA has.",
        unseen: None,
    },
    Mask {
        field: "av1.sequence.flags.ENABLE_RESTORATION",
        reason: "VA lacks the switch. It only allows loop restoration in frame headers, which VA \
                 has.",
        unseen: None,
    },
    Mask {
        field: "av1.sequence.flags.SEPARATE_UV_DELTA_Q",
        reason: "VA lacks the switch. It only allows different quantizers of U and V, which VA \
                 has.",
        unseen: None,
    },
    Mask {
        field: "av1.frame.flags.FRAME_SIZE_OVERRIDE",
        reason: "VA does not say how the size is coded. It is in the control either way.",
        unseen: None,
    },
    Mask {
        field: "av1.frame.flags.BUFFER_REMOVAL_TIME_PRESENT",
        reason: "VA has nothing of the decoder model, which is about time.",
        unseen: Some("no stream of the core has a decoder model"),
    },
    Mask {
        field: "av1.frame.buffer_removal_time",
        reason: "As BUFFER_REMOVAL_TIME_PRESENT.",
        unseen: Some("no stream of the core has a decoder model"),
    },
    Mask {
        field: "av1.frame.flags.FRAME_REFS_SHORT_SIGNALING",
        reason: "VA does not say how references are coded. They are in the control either way.",
        unseen: None,
    },
    Mask {
        field: "av1.frame.current_frame_id",
        reason: "VA has no frame ids. They let a decoder notice lost frames; references are named \
                 by timestamp.",
        unseen: None,
    },
    Mask {
        field: "av1.frame.render_width_minus_1",
        reason: "VA has no render size. It is a hint for display and takes no part in decoding.",
        unseen: None,
    },
    Mask {
        field: "av1.frame.render_height_minus_1",
        reason: "As render_width_minus_1.",
        unseen: None,
    },
    Mask {
        field: "av1.frame.refresh_frame_flags",
        reason: "VA does not say which slots a picture replaces. The driver keeps slots of its \
                 own; what they hold is compared in `as_refreshed`, `missing` and `pictures`, see \
                 above.",
        unseen: None,
    },
    Mask {
        field: "av1.frame.ref_frame_idx",
        reason: "The driver's own slots, as for refresh_frame_flags.",
        unseen: None,
    },
    Mask {
        field: "av1.frame.loop_filter.ref_deltas.not_enabled",
        reason: "Frames without DELTA_ENABLED do not use the deltas, and clients say different things of \
                 them. Later frames have theirs in their own requests.",
        unseen: None,
    },
    Mask {
        field: "av1.frame.loop_filter.mode_deltas.not_enabled",
        reason: "As ref_deltas.not_enabled.",
        unseen: None,
    },
    Mask {
        field: "av1.frame.quantization.flags.DIFF_UV_DELTA",
        reason: "VA has the quantizers of U and V, not how they are coded. The driver sets the flag if \
                 they differ; a stream may set it with equal ones.",
        unseen: None,
    },
    Mask {
        field: "av1.frame.tile_info.tile_size_bytes",
        reason: "VA has the sizes of the tiles, not how they are coded. Tiles are found by the \
                 tile group entries.",
        unseen: None,
    },
    Mask {
        field: "av1.frame.loop_filter.flags.DELTA_ENABLED.not_coded",
        reason: "Lossless frames and those with intra block copy code no loop filter, and clients \
                 say different things of this flag then. There is no filter that would look at \
                 it.",
        unseen: None,
    },
];

/// Where the other parser is wrong, and why that is known: fields of streams. The driver's values are
/// those with which the pictures are exact.
pub const WITNESS_FAULTS: &[(&[&str], &[&str], &str)] = &[
    (
        &["av1/dav1d/10-bit/argon/test185_302.obu", "av1/dav1d/10-bit/argon/test5606.obu"],
        &["av1.frame.global_motion.params", "av1.frame.global_motion.invalid"],
        "cros-codecs 0.0.6 forgets to add mk to subexp_final_bits (5.9.28)",
    ),
    (
        &[
            "av1/av1parser/set_maps_av1.ivf",
            "av1/dav1d/8-bit/data/00000531.ivf",
            "av1/dav1d/8-bit/data/00000592.ivf",
            "av1/dav1d/8-bit/data/00000594.ivf",
            "av1/dav1d/8-bit/data/00000595.ivf",
            "av1/dav1d/8-bit/data/00000614.ivf",
            "av1/dav1d/8-bit/data/00001100.ivf",
        ],
        &["av1.frame.global_motion.params"],
        "cros-codecs 0.0.6 takes ALTREF_FRAME's motion before for zeros without a primary reference \
         (setup_past_independence() in 7.20)",
    ),
    (
        &["av1/dav1d/8-bit/issues/48_delayed.ivf"],
        &["av1.frame.order_hints", "av1.frame.skip_mode_frame"],
        "cros-codecs 0.0.6 does not load the order hint of a key frame that is shown again (7.21)",
    ),
];

/// Streams that the other parser cannot read, and why.
pub const UNREAD: &[(&str, &str)] = &[
    ("Syntax_AV1_mainb8ss420_432x240_001", "cros-codecs 0.0.6 refuses reserved colour primaries"),
    ("Syntax_AV1_mainb8ss420_432x240_002", "ffmpeg 5.1 cannot copy it to IVF"),
    ("Syntax_AV1_mainb8ss420_432x240_003", DECODER_MODEL),
    ("Syntax_AV1_mainb8ss420_432x240_006", DECODER_MODEL),
    ("Syntax_AV1_mainb8ss420_432x240_007", DECODER_MODEL),
    ("Syntax_AV1_mainb8ss420_432x240_008", DECODER_MODEL),
    ("Syntax_AV1_mainb8ss420_432x240_009", DECODER_MODEL),
    ("Syntax_AV1_mainb8ss420_432x240_010", DECODER_MODEL),
    ("Syntax_AV1_mainb8ss420_432x240_012", DECODER_MODEL),
    ("Syntax_AV1_mainb8ss420_432x240_014", DECODER_MODEL),
    ("Syntax_AV1_mainb8ss420_432x240_015", DECODER_MODEL),
    ("Syntax_AV1_mainb8ss420_432x240_016", DECODER_MODEL),
    ("Syntax_AV1_mainb8ss420_432x240_017", DECODER_MODEL),
    ("Syntax_AV1_mainb8ss420_432x240_019", DECODER_MODEL),
];

const DECODER_MODEL: &str =
    "cros-codecs 0.0.6 cannot read the decoder model's times in frame headers";

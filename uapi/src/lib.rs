//! The values that cross Daedalus's seams: the V4L2 *stateless* controls of H.264, VP9 and AV1 as Rust
//! types, and [`DecodeRequest`], the one value that every transport carries.
//!
//! The control structs mirror `linux/v4l2-controls.h` of Linux 6.12 field by field, because older
//! distributions (Debian 12 ships 6.1's header) lack the AV1 controls. Each has a size assertion.
//! Field meanings: `Documentation/userspace-api/media/v4l/ext-ctrls-codec-stateless.rst`.

pub mod av1;
pub mod control;
pub mod h264;
pub mod protocol;
pub mod record;
mod request;
pub mod vp9;

/// `new_zeroed()` of the control structs: V4L2 clients start from zeroed controls, too.
pub use zerocopy::FromZeros;

pub use request::{Codec, Controls, DecodeRequest, NO_REFERENCE, Timestamps};

/// `V4L2_CID_CODEC_STATELESS_BASE`.
pub(crate) const STATELESS_BASE: u32 = 0x00a4_0000 | 0x900;

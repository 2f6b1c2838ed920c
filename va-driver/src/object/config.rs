//! Configs: a profile and the render target formats asked for.

use libva_sys as va;

/// What vaCreateConfig made.
#[derive(Debug)]
pub(crate) struct Config {
    pub profile: va::VAProfile,
    /// `VA_RT_FORMAT_*` bits.
    pub rt_format: u32,
}

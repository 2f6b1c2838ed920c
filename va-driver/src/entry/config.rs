//! Profiles, entrypoints and configs.

use libva_sys as va;

use super::entries;
use crate::{
    codec::{PROFILE_H264_HIGH10, codec_of},
    error::{Error, Result},
    object::{Driver, config::Config, surface::format_of},
};

const YUV420: u32 = va::VA_RT_FORMAT_YUV420;
const YUV420_10: u32 = va::VA_RT_FORMAT_YUV420_10;

/// Every profile with the render target formats that it decodes to. All have `VAEntrypointVLD` only.
pub(super) const PROFILES: [(va::VAProfile, u32); 7] = [
    (va::VAProfileH264ConstrainedBaseline, YUV420),
    (va::VAProfileH264Main, YUV420),
    (va::VAProfileH264High, YUV420),
    (PROFILE_H264_HIGH10, YUV420 | YUV420_10),
    (va::VAProfileVP9Profile0, YUV420),
    (va::VAProfileVP9Profile2, YUV420_10),
    (va::VAProfileAV1Profile0, YUV420 | YUV420_10),
];

/// The largest picture in either direction, in samples.
pub(super) const MAX_SIZE: u32 = 16384;

/// The profiles that the driver's device decodes, each with those of its formats that the device has.
fn profiles(driver: &Driver) -> impl Iterator<Item = (va::VAProfile, u32)> {
    PROFILES.into_iter().filter_map(|(profile, formats)| {
        let codec = codec_of(profile)?;
        let has = |bit| {
            formats & bit != 0
                && format_of(bit).is_some_and(|format| driver.device().decodes(codec, format))
        };
        let formats = [YUV420, YUV420_10].into_iter().filter(|bit| has(*bit)).sum();
        // A client that finds High 10 comes with ten bits.
        let useful = formats != 0 && (profile != PROFILE_H264_HIGH10 || formats & YUV420_10 != 0);
        useful.then_some((profile, formats))
    })
}

/// The render target formats of a profile and entrypoint, or why there are none.
fn formats_of(
    driver: &Driver,
    profile: va::VAProfile,
    entrypoint: va::VAEntrypoint,
) -> Result<u32> {
    let found = profiles(driver).find(|(known, _)| *known == profile);
    let (_, formats) = found.ok_or(Error::UnsupportedProfile(profile))?;
    if entrypoint != va::VAEntrypointVLD {
        return Err(Error::UnsupportedEntrypoint(entrypoint as i32));
    }
    Ok(formats)
}

/// The value of a config attribute; `VA_ATTRIB_NOT_SUPPORTED` for what decoding does not have.
fn attribute(kind: va::VAConfigAttribType, rt_format: u32) -> u32 {
    match kind {
        va::VAConfigAttribRTFormat => rt_format,
        // Slice headers are parsed by the client, slice data comes whole.
        va::VAConfigAttribDecSliceMode => va::VA_DEC_SLICE_MODE_NORMAL,
        va::VAConfigAttribMaxPictureWidth | va::VAConfigAttribMaxPictureHeight => MAX_SIZE,
        _ => va::VA_ATTRIB_NOT_SUPPORTED,
    }
}

entries! {
    /// Lists the profiles.
    fn vaQueryConfigProfiles(driver, profile_list: *mut va::VAProfile, num_profiles: *mut i32) {
        let profiles: Vec<_> = profiles(driver).map(|(profile, _)| profile).collect();
        let count = profiles.len() as i32;
        profile_list.write_all(profiles)?;
        num_profiles.write(count)
    }

    /// Lists the entrypoints of a profile: VLD.
    fn vaQueryConfigEntrypoints(
        driver,
        profile: va::VAProfile,
        entrypoint_list: *mut va::VAEntrypoint,
        num_entrypoints: *mut i32,
    ) {
        formats_of(driver, profile, va::VAEntrypointVLD)?;
        entrypoint_list.write(va::VAEntrypointVLD)?;
        num_entrypoints.write(1)
    }

    /// Fills in the values of the attributes that the client lists.
    fn vaGetConfigAttributes(
        driver,
        profile: va::VAProfile,
        entrypoint: va::VAEntrypoint,
        attrib_list: *mut va::VAConfigAttrib,
        num_attribs: i32,
    ) {
        let formats = formats_of(driver, profile, entrypoint)?;
        let mut attributes = attrib_list.read_all(num_attribs)?;
        if attributes.is_empty() {
            return Ok(());
        }
        for wanted in &mut attributes {
            wanted.value = attribute(wanted.type_, formats);
        }
        attrib_list.write_all(attributes)
    }

    /// Makes a config. Of the attributes only RTFormat and the slice mode mean something to a decoder;
    /// others must not ask for anything.
    fn vaCreateConfig(
        driver,
        profile: va::VAProfile,
        entrypoint: va::VAEntrypoint,
        attrib_list: *mut va::VAConfigAttrib,
        num_attribs: i32,
        config_id: *mut va::VAConfigID,
    ) {
        let formats = formats_of(driver, profile, entrypoint)?;
        let mut rt_format = formats;
        for wanted in attrib_list.read_all(num_attribs)? {
            match wanted.type_ {
                va::VAConfigAttribRTFormat => {
                    rt_format = wanted.value & formats;
                    if rt_format == 0 {
                        return Err(Error::UnsupportedRtFormat(wanted.value));
                    }
                }
                kind => {
                    let ours = attribute(kind, formats);
                    if ours == va::VA_ATTRIB_NOT_SUPPORTED && wanted.value != 0 && wanted.value != ours {
                        return Err(Error::UnsupportedAttribute(format!("config attribute {kind}")));
                    }
                }
            }
        }
        if config_id.is_null() {
            return Err(Error::InvalidParameter("no place for the config's id".into()));
        }
        let id = driver.configs.insert(|_| Config { profile, rt_format })?;
        config_id.write(id)
    }

    /// Forgets a config. Contexts made with it live on.
    fn vaDestroyConfig(driver, config_id: va::VAConfigID) {
        driver.configs.remove(config_id).map(drop).ok_or(Error::InvalidConfig(config_id))
    }

    /// Tells what a config was made with. The client provides room for max_attributes attributes.
    fn vaQueryConfigAttributes(
        driver,
        config_id: va::VAConfigID,
        profile: *mut va::VAProfile,
        entrypoint: *mut va::VAEntrypoint,
        attrib_list: *mut va::VAConfigAttrib,
        num_attribs: *mut i32,
    ) {
        let config = driver.config(config_id)?;
        profile.write(config.profile)?;
        entrypoint.write(va::VAEntrypointVLD)?;
        // num_attribs is uninitialised on input with some clients (Chromium): output only.
        let kinds = [
            va::VAConfigAttribRTFormat,
            va::VAConfigAttribDecSliceMode,
            va::VAConfigAttribMaxPictureWidth,
            va::VAConfigAttribMaxPictureHeight,
        ];
        attrib_list.write_all(kinds.map(|kind| va::VAConfigAttrib {
            type_: kind,
            value: attribute(kind, config.rt_format),
        }))?;
        num_attribs.write(kinds.len() as i32)
    }
}

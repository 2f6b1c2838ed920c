//! The grammar: what a byte makes a client do.

use std::{ffi::c_void, ptr};

use daedalus_drv_video::codec::{PROFILE_H264_HIGH10, codec_of};
use daedalus_uapi::Codec;
use libva_sys as va;

use super::{
    driver::{Driver, call, good},
    ids::{Ids, Kind},
    import,
};
use crate::{input::Input, pictures::Picture};

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Operation {
    CreateConfig,
    DestroyConfig,
    QueryConfig,
    CreateSurfaces,
    DestroySurfaces,
    QuerySurface,
    SyncSurface,
    ExportSurface,
    CreateContext,
    DestroyContext,
    BeginPicture,
    RenderPicture,
    EndPicture,
    Decode,
    CreateBuffer,
    SetNumElements,
    WriteBuffer,
    MapBuffer,
    UnmapBuffer,
    ShareBuffer,
    SyncBuffer,
    DestroyBuffer,
    CreateImage,
    DeriveImage,
    GetImage,
    PutImage,
    DestroyImage,
    QueryFormats,
    Refused,
    /// This and the next: the first of the bytes that mean it.
    ImportSurface = 0xf6,
    MapBuffer2 = 0xf9,
}

use Operation as O;

const ALL: [O; 29] = [
    O::CreateConfig,
    O::DestroyConfig,
    O::QueryConfig,
    O::CreateSurfaces,
    O::DestroySurfaces,
    O::QuerySurface,
    O::SyncSurface,
    O::ExportSurface,
    O::CreateContext,
    O::DestroyContext,
    O::BeginPicture,
    O::RenderPicture,
    O::EndPicture,
    O::Decode,
    O::CreateBuffer,
    O::SetNumElements,
    O::WriteBuffer,
    O::MapBuffer,
    O::UnmapBuffer,
    O::ShareBuffer,
    O::SyncBuffer,
    O::DestroyBuffer,
    O::CreateImage,
    O::DeriveImage,
    O::GetImage,
    O::PutImage,
    O::DestroyImage,
    O::QueryFormats,
    O::Refused,
];

/// Profiles; the last ones are not decoded.
pub const PROFILES: [va::VAProfile; 9] = [
    va::VAProfileH264ConstrainedBaseline,
    va::VAProfileH264Main,
    va::VAProfileH264High,
    PROFILE_H264_HIGH10,
    va::VAProfileVP9Profile0,
    va::VAProfileVP9Profile2,
    va::VAProfileAV1Profile0,
    va::VAProfileHEVCMain,
    va::VAProfileNone,
];

const FORMATS: [u32; 4] = [
    va::VA_RT_FORMAT_YUV420,
    va::VA_RT_FORMAT_YUV420_10,
    va::VA_RT_FORMAT_YUV420 | va::VA_RT_FORMAT_YUV420_10,
    va::VA_RT_FORMAT_YUV444,
];

/// Widths and heights; the first is the seeds'.
pub(super) const SIZES: [u32; 10] = [64, 48, 128, 16, 1, 17, 354, 0, 16385, u32::MAX];

const FOURCCS: [u32; 6] = [
    va::VA_FOURCC_NV12,
    va::VA_FOURCC_P010,
    va::VA_FOURCC_I420,
    va::VA_FOURCC_YV12,
    va::VA_FOURCC_BGRX,
    0,
];

const BUFFERS: [va::VABufferType; 6] = [
    va::VAPictureParameterBufferType,
    va::VASliceParameterBufferType,
    va::VASliceDataBufferType,
    va::VAIQMatrixBufferType,
    va::VAImageBufferType,
    va::VAEncCodedBufferType,
];

const MEMORY: [u32; 4] = [
    va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2,
    va::VA_SURFACE_ATTRIB_MEM_TYPE_VA,
    va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME,
    u32::MAX,
];

/// `VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_3`, which va_drmcommon.h has only from libva 2.22 on.
pub(super) const PRIME_3: u32 = 0x0800_0000;

#[cfg(libva_prime3)]
const _: () = assert!(PRIME_3 == va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_3);

/// More surfaces than this are never made at once.
const MOST_SURFACES: u8 = 8;

/// The operation that the next byte means. Those that came later than the others have bytes that
/// meant something in no input of the corpus, which so keeps its meaning.
fn operation(input: &mut Input<'_>) -> O {
    match input.u8() {
        0xf6..=0xf8 => O::ImportSurface,
        0xf9 => O::MapBuffer2,
        byte => ALL[usize::from(byte) % ALL.len()],
    }
}

/// The memory type that the next byte means. As with operations, the newest has bytes of its own.
fn memory_type(input: &mut Input<'_>) -> u32 {
    match input.u8() {
        0xf0.. => PRIME_3,
        byte => MEMORY[usize::from(byte) % MEMORY.len()],
    }
}

/// Does what the input says next.
pub fn call(input: &mut Input<'_>, driver: &Driver, ids: &Ids) {
    match operation(input) {
        O::CreateConfig => create_config(input, driver, ids),
        O::DestroyConfig => {
            call!(driver, vaDestroyConfig, ids.next(Kind::Config, input));
        }
        O::QueryConfig => query_config(input, driver, ids),
        O::CreateSurfaces => create_surfaces(input, driver, ids),
        O::ImportSurface => import::import(input, driver, ids),
        O::DestroySurfaces => {
            let mut list = surfaces(input, ids);
            call!(driver, vaDestroySurfaces, list.as_mut_ptr(), list.len() as i32);
        }
        O::QuerySurface => {
            let surface = ids.next(Kind::Surface, input);
            let mut status = 0;
            call!(driver, vaQuerySurfaceStatus, surface, &mut status);
            driver.errors(surface);
        }
        O::SyncSurface => {
            let surface = ids.next(Kind::Surface, input);
            match input.u8() {
                0 => call!(driver, vaSyncSurface, surface),
                // In microseconds.
                time => call!(driver, vaSyncSurface2, surface, u64::from(time) * 1000),
            };
        }
        O::ExportSurface => {
            let surface = ids.next(Kind::Surface, input);
            let memory = memory_type(input);
            driver.export(surface, memory, input.u8().into());
        }
        O::CreateContext => create_context(input, driver, ids),
        O::DestroyContext => {
            call!(driver, vaDestroyContext, ids.next(Kind::Context, input));
        }
        O::BeginPicture => {
            let context = ids.next(Kind::Context, input);
            call!(driver, vaBeginPicture, context, ids.next(Kind::Surface, input));
        }
        O::RenderPicture => {
            let context = ids.next(Kind::Context, input);
            let mut list: Vec<_> =
                (0..input.u8() % 8).map(|_| ids.next(Kind::Buffer, input)).collect();
            call!(driver, vaRenderPicture, context, list.as_mut_ptr(), list.len() as i32);
        }
        O::EndPicture => {
            call!(driver, vaEndPicture, ids.next(Kind::Context, input));
        }
        O::Decode => decode(input, driver, ids),
        O::CreateBuffer => {
            let context = ids.next(Kind::Context, input);
            let kind = input.choice(&BUFFERS);
            let (size, count) = (input.u32(), input.u32());
            create_buffer(driver, ids, context, kind, size, count, Some(input.block()));
        }
        O::SetNumElements => {
            let buffer = ids.next(Kind::Buffer, input);
            call!(driver, vaBufferSetNumElements, buffer, input.u8().into());
        }
        O::WriteBuffer => driver.write(ids.next(Kind::Buffer, input), input.block()),
        O::MapBuffer => {
            let mut address: *mut c_void = ptr::null_mut();
            call!(driver, vaMapBuffer, ids.next(Kind::Buffer, input), &mut address);
        }
        O::MapBuffer2 => {
            let buffer = ids.next(Kind::Buffer, input);
            driver.map_for(buffer, input.u8().into());
        }
        O::UnmapBuffer => {
            call!(driver, vaUnmapBuffer, ids.next(Kind::Buffer, input));
        }
        O::ShareBuffer => {
            let buffer = ids.next(Kind::Buffer, input);
            let mut info = va::VABufferInfo { mem_type: memory_type(input), ..Default::default() };
            match input.u8() & 1 {
                0 => call!(driver, vaAcquireBufferHandle, buffer, &mut info),
                _ => call!(driver, vaReleaseBufferHandle, buffer),
            };
        }
        O::SyncBuffer => {
            let buffer = ids.next(Kind::Buffer, input);
            call!(driver, vaSyncBuffer, buffer, u64::from(input.u8()) * 1000);
        }
        O::DestroyBuffer => driver.destroy_buffer(ids.next(Kind::Buffer, input)),
        O::CreateImage => {
            let mut format =
                va::VAImageFormat { fourcc: input.choice(&FOURCCS), ..Default::default() };
            let (width, height) = (input.choice(&SIZES) as i32, input.choice(&SIZES) as i32);
            let mut image = va::VAImage::default();
            let done = call!(driver, vaCreateImage, &mut format, width, height, &mut image);
            add_image(driver, ids, done, &image);
        }
        O::DeriveImage => {
            let mut image = va::VAImage::default();
            let surface = ids.next(Kind::Surface, input);
            let done = call!(driver, vaDeriveImage, surface, &mut image);
            add_image(driver, ids, done, &image);
        }
        O::GetImage => {
            let (surface, image) = (ids.next(Kind::Surface, input), ids.next(Kind::Image, input));
            let [x, y] = place(input);
            let (width, height) = (input.choice(&SIZES), input.choice(&SIZES));
            call!(driver, vaGetImage, surface, x, y, width, height, image);
        }
        O::PutImage => {
            let (surface, image) = (ids.next(Kind::Surface, input), ids.next(Kind::Image, input));
            let ([x, y], [to_x, to_y]) = (place(input), place(input));
            let (width, height) = (input.choice(&SIZES), input.choice(&SIZES));
            let (to_width, to_height) = match input.u8() & 1 {
                0 => (width, height),
                _ => (input.choice(&SIZES), input.choice(&SIZES)),
            };
            call!(
                driver, vaPutImage, surface, image, x, y, width, height, to_x, to_y, to_width,
                to_height
            );
        }
        O::DestroyImage => driver.destroy_image(ids.next(Kind::Image, input)),
        O::QueryFormats => query_formats(driver),
        O::Refused => refused(input, driver, ids),
    }
}

/// Mostly the origin.
fn place(input: &mut Input<'_>) -> [i32; 2] {
    [i32::from(input.u8() as i8), i32::from(input.u8() as i8)]
}

fn surfaces(input: &mut Input<'_>, ids: &Ids) -> Vec<va::VASurfaceID> {
    (0..input.u8() % MOST_SURFACES).map(|_| ids.next(Kind::Surface, input)).collect()
}

fn create_config(input: &mut Input<'_>, driver: &Driver, ids: &Ids) {
    let profile = input.choice(&PROFILES);
    let (mut attribute, mut config) = (va::VAConfigAttrib::default(), 0);
    let asked = input.u8();
    // Bits: an attribute, another than the format, another entrypoint.
    attribute.type_ = if asked & 2 == 0 { va::VAConfigAttribRTFormat } else { asked.into() };
    attribute.value = if asked & 1 == 0 { 0 } else { input.choice(&FORMATS) };
    let entrypoint =
        if asked & 4 == 0 { va::VAEntrypointVLD } else { va::VAEntrypoint::from(asked) };
    let count = i32::from(asked & 1);
    let done =
        call!(driver, vaCreateConfig, profile, entrypoint, &mut attribute, count, &mut config);
    if good(done) {
        ids.add(Kind::Config, config);
    }
}

fn query_config(input: &mut Input<'_>, driver: &Driver, ids: &Ids) {
    let (profiles, attributes) = driver.room();
    let config = ids.next(Kind::Config, input);
    let (mut profile, mut entrypoint, mut count) = (0, 0, 0);
    let mut list = vec![va::VAConfigAttrib::default(); attributes];
    let to = list.as_mut_ptr();
    call!(driver, vaQueryConfigAttributes, config, &mut profile, &mut entrypoint, to, &mut count);
    let asked = input.choice(&PROFILES);
    call!(driver, vaGetConfigAttributes, asked, va::VAEntrypointVLD, to, attributes as i32);
    call!(driver, vaQueryConfigEntrypoints, asked, &mut entrypoint, &mut count);
    let mut list = vec![0; profiles];
    call!(driver, vaQueryConfigProfiles, list.as_mut_ptr(), &mut count);
    let mut count = 0;
    call!(driver, vaQuerySurfaceAttributes, config, ptr::null_mut(), &mut count);
    let mut list = vec![va::VASurfaceAttrib::default(); count as usize];
    call!(driver, vaQuerySurfaceAttributes, config, list.as_mut_ptr(), &mut count);
}

fn create_surfaces(input: &mut Input<'_>, driver: &Driver, ids: &Ids) {
    let (format, how) = (input.choice(&FORMATS), input.u8());
    let (width, height) = (input.choice(&SIZES), input.choice(&SIZES));
    let count = how % MOST_SURFACES;
    let mut list = [va::VA_INVALID_ID; MOST_SURFACES as usize];
    let to = list.as_mut_ptr();
    let done = if how & 0x80 == 0 {
        let mut pixels = va::VASurfaceAttrib {
            type_: va::VASurfaceAttribPixelFormat,
            flags: va::VA_SURFACE_ATTRIB_SETTABLE,
            ..Default::default()
        };
        pixels.value.type_ = va::VAGenericValueTypeInteger;
        pixels.value.value.i = input.choice(&FOURCCS) as i32;
        let count = count.into();
        let attributes = u32::from(how & 0x40 != 0);
        call!(driver, vaCreateSurfaces2, format, width, height, to, count, &mut pixels, attributes)
    } else {
        let (width, height, format) = (width as i32, height as i32, format as i32);
        call!(driver, vaCreateSurfaces, width, height, format, count.into(), to)
    };
    if good(done) {
        list[..usize::from(count)].iter().for_each(|id| ids.add(Kind::Surface, *id));
    }
}

fn create_context(input: &mut Input<'_>, driver: &Driver, ids: &Ids) {
    let config = ids.next(Kind::Config, input);
    let (width, height) = (input.choice(&SIZES) as i32, input.choice(&SIZES) as i32);
    let mut list = surfaces(input, ids);
    let (targets, count) = (list.as_mut_ptr(), list.len() as i32);
    let mut context = 0;
    let done = call!(
        driver,
        vaCreateContext,
        config,
        width,
        height,
        va::VA_PROGRESSIVE as i32,
        targets,
        count,
        &mut context
    );
    if good(done) {
        ids.add(Kind::Context, context);
    }
}

/// vaCreateBuffer; with `data`, zeros after it, unless that would be a lot.
fn create_buffer(
    driver: &Driver,
    ids: &Ids,
    context: va::VAContextID,
    kind: va::VABufferType,
    size: u32,
    count: u32,
    data: Option<&[u8]>,
) -> Option<va::VABufferID> {
    const MOST: u64 = 1 << 20;
    let length = u64::from(size) * u64::from(count);
    let mut data = data.filter(|_| length <= MOST).map(<[u8]>::to_vec);
    let from = data.as_mut().map_or(ptr::null_mut(), |data| {
        data.resize(length as usize, 0);
        data.as_mut_ptr().cast()
    });
    let mut buffer = 0;
    if !good(call!(driver, vaCreateBuffer, context, kind, size, count, from, &mut buffer)) {
        return None;
    }
    ids.add(Kind::Buffer, buffer);
    Some(buffer)
}

/// A whole picture: vaBeginPicture, buffers, vaRenderPicture, vaEndPicture. The numbers of surfaces in the
/// parameters are those of the input.
fn decode(input: &mut Input<'_>, driver: &Driver, ids: &Ids) {
    let codec = codec_of(input.choice(&PROFILES)).unwrap_or(Codec::H264);
    let context = ids.next(Kind::Context, input);
    let mut picture = Picture::read(codec, input);
    let surface = |number: u32| u8::try_from(number).map_or(number, |n| ids.get(Kind::Surface, n));
    picture.rename(codec, surface);
    let target = surface(picture.target);
    let mut taken = good(call!(driver, vaBeginPicture, context, target));
    for buffer in &picture.buffers {
        let (size, count) = (buffer.element_size as u32, buffer.count as u32);
        let data = Some(&buffer.data[..]);
        let made = create_buffer(driver, ids, context, buffer.kind, size, count, data);
        taken &= made.is_some();
        if let Some(mut made) = made {
            taken &= good(call!(driver, vaRenderPicture, context, &mut made, 1));
            driver.destroy_buffer(made);
        }
    }
    taken &= good(call!(driver, vaEndPicture, context));
    if taken {
        ids.rendered(target, codec);
    }
}

fn add_image(driver: &Driver, ids: &Ids, done: va::VAStatus, image: &va::VAImage) {
    if good(done) {
        // What it says of itself holds: the last row of each plane is there.
        let sample = if image.format.fourcc == va::VA_FOURCC_P010 { 2 } else { 1 };
        let (width, height) = (u64::from(image.width), u64::from(image.height));
        for plane in 0..image.num_planes as usize {
            let (samples, rows) = match (plane, image.num_planes) {
                (0, _) => (width, height),
                // Both kinds of chroma in one plane.
                (_, 2) => (width.next_multiple_of(2), height.div_ceil(2)),
                _ => (width.div_ceil(2), height.div_ceil(2)),
            };
            // Of memory that a client has brought it need not be as long as the pitch.
            let before = rows.saturating_sub(1) * u64::from(image.pitches[plane]);
            let end = u64::from(image.offsets[plane]) + before + samples * sample;
            assert!(end <= u64::from(image.data_size), "{image:?}");
        }
        driver.write(image.buf, &[]);
        ids.add(Kind::Image, image.image_id);
        ids.add(Kind::Buffer, image.buf);
    }
}

fn query_formats(driver: &Driver) {
    // SAFETY: as in `Driver::room`.
    let most = unsafe { &*driver.context() }.max_image_formats;
    let mut list = vec![va::VAImageFormat::default(); most as usize];
    let (mut count, mut number, mut flags) = (0, 0, 0);
    call!(driver, vaQueryImageFormats, list.as_mut_ptr(), &mut count);
    call!(driver, vaQuerySubpictureFormats, list.as_mut_ptr(), &mut flags, &mut number);
    let mut attributes = [va::VADisplayAttribute::default(); 2];
    call!(driver, vaQueryDisplayAttributes, attributes.as_mut_ptr(), &mut count);
    call!(driver, vaGetDisplayAttributes, attributes.as_mut_ptr(), 2);
    call!(driver, vaSetDisplayAttributes, attributes.as_mut_ptr(), 2);
}

/// What is refused whatever is given.
fn refused(input: &mut Input<'_>, driver: &Driver, ids: &Ids) {
    let mut image = ids.next(Kind::Image, input);
    let mut surface = ids.next(Kind::Surface, input);
    call!(driver, vaCreateSubpicture, image, &mut image);
    call!(driver, vaSetImagePalette, image, ptr::null_mut());
    call!(driver, vaDeassociateSubpicture, image, &mut surface, 1);
    call!(driver, vaDestroySubpicture, image);
    call!(driver, vaUnlockSurface, surface);
    let nowhere = ptr::null_mut();
    call!(
        driver,
        vaPutSurface,
        surface,
        nowhere,
        0,
        0,
        64,
        48,
        0,
        0,
        64,
        48,
        ptr::null_mut(),
        0,
        0
    );
}

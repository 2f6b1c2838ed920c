//! Surfaces in memory that the client brings: a description that is right, but for what the input
//! changes.

use std::{
    ffi::c_void,
    os::fd::{AsRawFd, OwnedFd},
    ptr,
};

use libva_sys as va;
use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
    unistd::ftruncate,
};

use super::{
    driver::{Driver, call, good},
    ids::{Ids, Kind},
    operations::{PRIME_3, SIZES},
};
use crate::input::Input;

/// Memory types, each of which says what its descriptor is; the first is the seeds'.
const TYPES: [u32; 6] = [
    va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2,
    PRIME_3,
    va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME,
    va::VA_SURFACE_ATTRIB_MEM_TYPE_VA,
    va::VA_SURFACE_ATTRIB_MEM_TYPE_VA | va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2,
    u32::MAX,
];

/// Format modifiers: linear, unsaid, and others.
const MODIFIERS: [u64; 4] = [0, 0x00ff_ffff_ffff_ffff, 0x0100_0000_0000_0001, u64::MAX];

/// Bytes of a surface's memory, where that is not as large as the picture needs.
const LENGTHS: [u64; 5] = [0, 1, 4096, 1 << 16, MOST];

/// Bytes of a surface's memory, at the most.
const MOST: u64 = 1 << 20;

/// The side of a picture above which its planes are described as if it were no larger.
const LONGEST_SIDE: u32 = 1 << 14;

/// How a client asks: bits.
const SEPARATE: u8 = 1;
const HINT: u8 = 2;
const LIST: u8 = 4;
const FORMATLESS: u8 = 8;
const EARLY: u8 = 0x10;
const NULL: u8 = 0x20;
const UNSETTABLE: u8 = 0x40;
const TWO: u8 = 0x80;

/// Kinds of memory; any other byte stands for a memfd that cannot shrink.
const NOTHING: u8 = 1;
const CLOSED: u8 = 2;
const UNSEALED: u8 = 3;
const READ_ONLY: u8 = 4;

/// What stands for a PRIME_3 descriptor, which begins as a PRIME_2 one does.
#[cfg(libva_prime3)]
type Third = va::VADRMPRIME3SurfaceDescriptor;
#[cfg(not(libva_prime3))]
type Third = va::VADRMPRIMESurfaceDescriptor;

/// vaCreateSurfaces2 with an external buffer descriptor. Zeros ask for one surface of 64x64 samples,
/// NV12, in a PRIME_2 object with a linear layout.
pub fn import(input: &mut Input<'_>, driver: &Driver, ids: &Ids) {
    let deep = input.u8() & 1 != 0;
    let mem_type = input.choice(&TYPES);
    let (width, height) = (input.choice(&SIZES), input.choice(&SIZES));
    let how = input.u8();
    let asked = |bit| how & bit != 0;
    let count = if asked(TWO) { 2 } else { 1 };
    let (mut one, needed) = describe(deep, width, height, asked(SEPARATE));
    let length = match input.u8() {
        0 => needed.min(MOST),
        other => LENGTHS[usize::from(other) % LENGTHS.len()],
    };
    let kind = input.u8();
    // A client that has too many descriptors open asks for nothing.
    let files: nix::Result<Vec<_>> = (0..count).map(|_| memory(length, seals(kind))).collect();
    let Ok(files) = files else { return };
    one.objects[0].size = length as u32;
    one.objects[0].drm_format_modifier = input.choice(&MODIFIERS);
    let mut list = vec![one; count];
    for (description, file) in list.iter_mut().zip(&files) {
        description.objects[0].fd = file.as_raw_fd();
    }
    // The last one, so that the other is there by then.
    let last = &mut list[count - 1];
    match kind {
        NOTHING => last.objects[0].fd = -1,
        // As large as they get: none that is open.
        CLOSED => last.objects[0].fd = i32::MAX,
        _ => {}
    }
    for _ in 0..input.u8() % 4 {
        let field = field(last, input.u8());
        *field = match input.u8() {
            // So much would seldom be added.
            0x70..=0x8f => input.u32(),
            delta => field.wrapping_add_signed(i32::from(delta as i8)),
        };
    }
    let made = create(driver, &Wanted { mem_type, deep, size: (width, height), how }, &list);
    made.into_iter().for_each(|id| ids.add(Kind::Surface, id));
}

fn seals(kind: u8) -> SealFlag {
    match kind {
        UNSEALED => SealFlag::empty(),
        // It cannot be mapped to write.
        READ_ONLY => SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_WRITE,
        _ => SealFlag::F_SEAL_SHRINK,
    }
}

/// What a dma-buf is to the driver: memory behind a descriptor, whose size stays as it is.
fn memory(length: u64, seals: SealFlag) -> nix::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let memory = memfd_create(c"surface", flags)?;
    ftruncate(&memory, length as i64)?;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(memory)
}

/// A linear picture, but for its descriptor, and the bytes that it needs.
fn describe(
    deep: bool,
    width: u32,
    height: u32,
    separate: bool,
) -> (va::VADRMPRIMESurfaceDescriptor, u64) {
    let (sample, fourcc, formats) = match deep {
        false => (1, va::VA_FOURCC_NV12, [*b"R8  ", *b"GR88"]),
        true => (2, va::VA_FOURCC_P010, [*b"R16 ", *b"GR32"]),
    };
    let (columns, rows) = (width.min(LONGEST_SIDE), height.min(LONGEST_SIDE));
    let pitch = (columns.next_multiple_of(2) * sample).next_multiple_of(64);
    let luma = pitch * rows.next_multiple_of(16);
    let mut one = va::VADRMPRIMESurfaceDescriptor {
        fourcc,
        width,
        height,
        num_objects: 1,
        ..Default::default()
    };
    let [first, second, ..] = &mut one.layers;
    if separate {
        one.num_layers = 2;
        [first.drm_format, second.drm_format] = formats.map(u32::from_le_bytes);
        (first.num_planes, second.num_planes) = (1, 1);
        (first.pitch[0], second.pitch[0]) = (pitch, pitch);
        second.offset[0] = luma;
    } else {
        one.num_layers = 1;
        (first.drm_format, first.num_planes) = (fourcc, 2);
        first.pitch[..2].fill(pitch);
        first.offset[1] = luma;
    }
    (one, u64::from(luma) + u64::from(luma / 2))
}

/// The field that a byte means, but for descriptor and modifier.
fn field(one: &mut va::VADRMPRIMESurfaceDescriptor, byte: u8) -> &mut u32 {
    let [first, second, ..] = &mut one.layers;
    match byte % 20 {
        0 => &mut one.fourcc,
        1 => &mut one.width,
        2 => &mut one.height,
        3 => &mut one.num_objects,
        4 => &mut one.objects[0].size,
        5 => &mut one.num_layers,
        6 => &mut first.drm_format,
        7 => &mut first.num_planes,
        8 => &mut first.object_index[0],
        9 => &mut first.object_index[1],
        10 => &mut first.offset[0],
        11 => &mut first.offset[1],
        12 => &mut first.pitch[0],
        13 => &mut first.pitch[1],
        14 => &mut second.drm_format,
        15 => &mut second.num_planes,
        16 => &mut second.object_index[0],
        17 => &mut second.offset[0],
        18 => &mut second.pitch[0],
        _ => &mut second.pitch[1],
    }
}

/// What is asked for, beside the descriptions.
struct Wanted {
    mem_type: u32,
    deep: bool,
    size: (u32, u32),
    how: u8,
}

/// The call, for as many surfaces as there are descriptions; the surfaces that come of it.
fn create(
    driver: &Driver,
    wanted: &Wanted,
    list: &[va::VADRMPRIMESurfaceDescriptor],
) -> Vec<va::VASurfaceID> {
    let asked = |bit| wanted.how & bit != 0;
    let mut seconds = list.to_vec();
    let mut thirds: Vec<_> = list.iter().map(third).collect();
    let mut handles: Vec<_> = list.iter().map(|one| one.objects[0].fd as usize).collect();
    let mut buffers = in_first_version(&list[0], &mut handles);
    let descriptor: *mut c_void = match wanted.mem_type {
        _ if asked(NULL) => ptr::null_mut(),
        PRIME_3 => thirds.as_mut_ptr().cast(),
        va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME => ptr::from_mut(&mut buffers).cast(),
        _ => seconds.as_mut_ptr().cast(),
    };
    // Linear is among them if the memory is.
    let mut known = MODIFIERS;
    let known = &mut known[usize::from(list[0].objects[0].drm_format_modifier != 0)..];
    let mut modifiers = va::VADRMFormatModifierList {
        num_modifiers: known.len() as u32,
        modifiers: known.as_mut_ptr(),
    };
    let mut external = pointer(va::VASurfaceAttribExternalBufferDescriptor, descriptor);
    if asked(UNSETTABLE) {
        external.flags = 0;
    }
    let (format, fourcc) = match wanted.deep {
        false => (va::VA_RT_FORMAT_YUV420, va::VA_FOURCC_NV12),
        true => (va::VA_RT_FORMAT_YUV420_10, va::VA_FOURCC_P010),
    };
    let mut attributes = vec![integer(va::VASurfaceAttribMemoryType, wanted.mem_type)];
    attributes.insert(if asked(EARLY) { 0 } else { 1 }, external);
    if !asked(FORMATLESS) {
        attributes.push(integer(va::VASurfaceAttribPixelFormat, fourcc));
    }
    if asked(HINT) {
        let hint = va::VA_SURFACE_ATTRIB_USAGE_HINT_DECODER;
        attributes.push(integer(va::VASurfaceAttribUsageHint, hint));
    }
    if asked(LIST) {
        let at = ptr::from_mut(&mut modifiers).cast();
        attributes.push(pointer(va::VASurfaceAttribDRMFormatModifiers, at));
    }
    let mut made = vec![va::VA_INVALID_ID; list.len()];
    let (to, count) = (made.as_mut_ptr(), made.len() as u32);
    let (width, height) = wanted.size;
    let (from, number) = (attributes.as_mut_ptr(), attributes.len() as u32);
    if !good(call!(driver, vaCreateSurfaces2, format, width, height, to, count, from, number)) {
        made.clear();
    }
    made
}

fn third(one: &va::VADRMPRIMESurfaceDescriptor) -> Third {
    let mut third = Third::default();
    // SAFETY: a PRIME_3 descriptor begins with the fields of a PRIME_2 one, and is no smaller.
    unsafe { ptr::from_mut(&mut third).cast::<va::VADRMPRIMESurfaceDescriptor>().write(*one) };
    third
}

/// The description in PRIME's first version, which is one for all surfaces.
fn in_first_version(
    one: &va::VADRMPRIMESurfaceDescriptor,
    handles: &mut [usize],
) -> va::VASurfaceAttribExternalBuffers {
    let [first, second, ..] = &one.layers;
    let mut all = va::VASurfaceAttribExternalBuffers {
        pixel_format: one.fourcc,
        width: one.width,
        height: one.height,
        data_size: one.objects[0].size,
        num_planes: first.num_planes.wrapping_add(second.num_planes),
        pitches: first.pitch,
        offsets: first.offset,
        buffers: handles.as_mut_ptr(),
        num_buffers: handles.len() as u32,
        flags: first.object_index[0],
        ..Default::default()
    };
    if one.num_layers == 2 {
        (all.pitches[1], all.offsets[1]) = (second.pitch[0], second.offset[0]);
    }
    all
}

fn integer(kind: va::VASurfaceAttribType, value: u32) -> va::VASurfaceAttrib {
    let mut attribute = settable(kind);
    attribute.value.type_ = va::VAGenericValueTypeInteger;
    attribute.value.value.i = value as i32;
    attribute
}

fn pointer(kind: va::VASurfaceAttribType, value: *mut c_void) -> va::VASurfaceAttrib {
    let mut attribute = settable(kind);
    attribute.value.type_ = va::VAGenericValueTypePointer;
    attribute.value.value.p = value;
    attribute
}

fn settable(kind: va::VASurfaceAttribType) -> va::VASurfaceAttrib {
    let flags = va::VA_SURFACE_ATTRIB_SETTABLE;
    va::VASurfaceAttrib { type_: kind, flags, ..Default::default() }
}

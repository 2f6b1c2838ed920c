//! Surfaces in memory that a client brings: one linear dma-buf each.

use std::{
    ffi::c_void,
    os::fd::{BorrowedFd, OwnedFd},
};

use libva_sys as va;

use super::{
    args::Foreign,
    sharing::{LINEAR, drm_planes, drm_whole},
};
use crate::{
    convert::{Format, Layout, Plane},
    error::{Error, Result},
    memory::Block,
};

/// `DRM_FORMAT_MOD_INVALID`: nothing is said, so that it is what both sides take for granted.
const UNSAID: u64 = 0x00ff_ffff_ffff_ffff;

/// The descriptions that a client gives, in the form that its memory type names.
#[derive(Clone, Copy)]
pub(super) enum External {
    /// `VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME`: one for all surfaces.
    Prime(Foreign<va::VASurfaceAttribExternalBuffers>),
    /// `VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2`, or the third version, which begins alike: one for each
    /// surface.
    Prime2(Foreign<va::VADRMPRIMESurfaceDescriptor>),
    #[cfg(libva_prime3)]
    Prime3(Foreign<va::VADRMPRIME3SurfaceDescriptor>),
}

impl External {
    /// Memory types that can be described.
    pub const TYPES: u32 = va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME
        | va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2
        | PRIME_3;

    /// What an attribute of the given memory type points to.
    pub fn new(mem_type: u32, at: Foreign<c_void>) -> Result<External> {
        match mem_type {
            va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME => Ok(External::Prime(at.cast())),
            va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2 => Ok(External::Prime2(at.cast())),
            #[cfg(libva_prime3)]
            va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_3 => Ok(External::Prime3(at.cast())),
            other => Err(Error::UnsupportedMemoryType(other)),
        }
    }

    /// The memory of the surface number `index` of those that a call makes, and where its planes lie.
    pub fn frame(
        self,
        index: usize,
        format: Format,
        (width, height): (u32, u32),
    ) -> Result<(Layout, Block)> {
        let (planes, fd, size) = match self {
            External::Prime(at) => {
                let all = at.read()?;
                let handles = {
                    // SAFETY: the VA API asks for `num_buffers` handles there.
                    unsafe { Foreign::of_field(all.buffers) }
                };
                (
                    planes_of_buffers(&all, format)?,
                    handle(handles, &all, index)?,
                    (all.width, all.height),
                )
            }
            External::Prime2(at) => {
                let one = at.element(index).read()?;
                (planes_of_layers(&one, format)?, one.objects[0].fd, (one.width, one.height))
            }
            #[cfg(libva_prime3)]
            External::Prime3(at) => {
                let one = at.element(index).cast::<va::VADRMPRIMESurfaceDescriptor>().read()?;
                (planes_of_layers(&one, format)?, one.objects[0].fd, (one.width, one.height))
            }
        };
        if width > size.0 || height > size.1 {
            return Err(refused(format!(
                "{}x{} for a surface of {width}x{height}",
                size.0, size.1
            )));
        }
        let [luma, chroma] =
            planes.map(|(offset, pitch)| Plane { offset: offset as usize, pitch: pitch as usize });
        let layout = Layout { format, width, height, planes: [luma, chroma, Plane::default()] };
        let memory = Block::of_foreign(duplicate(fd)?)?;
        layout.check_memory(memory.length())?;
        Ok((layout, memory))
    }
}

#[cfg(libva_prime3)]
const PRIME_3: u32 = va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_3;
#[cfg(not(libva_prime3))]
const PRIME_3: u32 = 0;

fn refused(what: String) -> Error {
    Error::InvalidParameter(format!("external memory: {what}"))
}

/// A descriptor of our own: the client's is the client's to close.
fn duplicate(fd: i32) -> Result<OwnedFd> {
    if fd < 0 {
        return Err(refused(format!("the descriptor {fd}")));
    }
    // SAFETY: not -1, and the client vouches that it stays open during the call; if it is not open, the
    // copy fails.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    fd.try_clone_to_owned().map_err(|error| refused(format!("its descriptor: {error}")))
}

/// Offset and pitch in bytes of luma and chroma.
type Planes = [(u32, u32); 2];

fn planes_of_layers(one: &va::VADRMPRIMESurfaceDescriptor, format: Format) -> Result<Planes> {
    if one.fourcc != format.fourcc() {
        return Err(refused(format!("the format {:#x} for a {format:?} surface", one.fourcc)));
    }
    if one.num_objects != 1 {
        return Err(refused(format!("{} objects instead of one", one.num_objects)));
    }
    let modifier = one.objects[0].drm_format_modifier;
    if modifier != LINEAR && modifier != UNSAID {
        return Err(refused(format!("the modifier {modifier:#x}, which is not linear")));
    }
    let [first, second, ..] = &one.layers;
    let planes = match one.num_layers {
        1 if first.drm_format == drm_whole(format) && first.num_planes == 2 => {
            [(first, 0), (first, 1)]
        }
        2 if [first.drm_format, second.drm_format] == drm_planes(format)
            && (first.num_planes, second.num_planes) == (1, 1) =>
        {
            [(first, 0), (second, 0)]
        }
        _ => return Err(refused(format!("layers that are no {format:?} picture"))),
    };
    if planes.iter().any(|(layer, at)| layer.object_index[*at] != 0) {
        return Err(refused("a plane in an object that there is not".into()));
    }
    Ok(planes.map(|(layer, at)| (layer.offset[at], layer.pitch[at])))
}

fn planes_of_buffers(all: &va::VASurfaceAttribExternalBuffers, format: Format) -> Result<Planes> {
    if all.pixel_format != format.fourcc() || all.num_planes != 2 {
        return Err(refused(format!(
            "{} planes of the format {:#x} for a {format:?} surface",
            all.num_planes, all.pixel_format
        )));
    }
    if all.flags & va::VA_SURFACE_EXTBUF_DESC_ENABLE_TILING != 0 {
        return Err(refused("tiled".into()));
    }
    Ok([(all.offsets[0], all.pitches[0]), (all.offsets[1], all.pitches[1])])
}

fn handle(
    handles: Foreign<usize>,
    all: &va::VASurfaceAttribExternalBuffers,
    index: usize,
) -> Result<i32> {
    if index >= all.num_buffers as usize {
        return Err(refused(format!("{} buffers", all.num_buffers)));
    }
    let handle = handles.element(index).read()?;
    i32::try_from(handle).map_err(|_| refused(format!("the descriptor {handle:#x}")))
}

//! Slots: an OUTPUT buffer, mapped, and the media request that carries it. Both are made once and used
//! over and over.

use daedalus_uapi::Controls;

use super::{
    abi,
    controls::Supported,
    ioctl::{Mapping, Media, MediaRequest, Queued, Result, Video},
};

/// Pictures that a session can have under way.
const SLOTS: u32 = 8;

/// A place for one picture's coded data and controls.
#[derive(Debug)]
pub(super) struct Slot {
    index: u32,
    memory: Mapping,
    request: MediaRequest,
}

/// Makes slots for `bytes` of coded data each. The OUTPUT queue must have no buffers.
pub(super) fn make(
    video: &Video,
    media: &Media,
    format: &abi::Format,
    bytes: u32,
) -> Result<Vec<Slot>> {
    let mut format = *format;
    let [plane, ..] = &mut format.plane_fmt;
    plane.sizeimage = plane.sizeimage.max(bytes);
    let created = video.create_buffers(abi::MEMORY_MMAP, SLOTS, &format)?;
    (created.index..created.index + created.count)
        .map(|index| {
            let memory = video.map(abi::OUTPUT, index)?;
            Ok(Slot { index, memory, request: media.allocate_request()? })
        })
        .collect()
}

impl Slot {
    /// The index of the OUTPUT buffer.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Bytes of coded data that it has room for.
    pub fn room(&self) -> usize {
        self.memory.length()
    }

    /// Puts a picture's data and controls into the request, which is not queued yet. The data must have
    /// room. After a failure the slot must be cleared.
    pub fn fill(
        &mut self,
        video: &Video,
        supported: &Supported,
        controls: &mut Controls,
        data: &[u8],
        timestamp: u64,
        hold: bool,
    ) -> Result<()> {
        self.memory.bytes()[..data.len()].copy_from_slice(data);
        video.set_controls(&mut supported.of_request(controls), Some(&self.request))?;
        let buffer = Queued {
            kind: abi::OUTPUT,
            index: self.index,
            flags: if hold { abi::BUF_FLAG_M2M_HOLD_CAPTURE_BUF } else { 0 },
            bytes: data.len() as u32,
            timestamp: timeval(timestamp),
        };
        video.queue_output(&buffer, &self.request)
    }

    /// Hands the filled request to the device.
    pub fn queue(&self) -> Result<()> {
        self.request.queue()
    }

    /// Makes the slot empty again, once the device is done with it or if it was never queued.
    pub fn clear(&mut self, media: &Media) -> Result<()> {
        if let Err(error) = self.request.reinit() {
            // Another does as well; this one goes when the device lets go of it.
            log::debug!("a request cannot be used again: {error}");
            self.request = media.allocate_request()?;
        }
        Ok(())
    }
}

/// A picture's timestamp as V4L2 carries it: nanoseconds, a multiple of 1000, as a `struct timeval`.
pub(super) fn timeval(timestamp: u64) -> abi::Timeval {
    // Both fit: a timestamp counts pictures.
    abi::Timeval {
        seconds: (timestamp / 1_000_000_000) as libc::time_t,
        microseconds: (timestamp % 1_000_000_000 / 1000) as libc::suseconds_t,
    }
}

/// The reverse, as the kernel's `v4l2_timeval_to_ns`.
pub(super) fn nanoseconds(timeval: abi::Timeval) -> u64 {
    (timeval.seconds as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add((timeval.microseconds as u64).wrapping_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_survive_the_trip() {
        for timestamp in [1000, 999_999_000, 1_000_000_000, 3_600_000_001_000] {
            assert_eq!(nanoseconds(timeval(timestamp)), timestamp);
        }
        assert_eq!(timeval(1_000_002_000), abi::Timeval { seconds: 1, microseconds: 2 });
    }
}

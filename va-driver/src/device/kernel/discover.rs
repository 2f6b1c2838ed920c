//! Finding a decoder among the media devices, without udev: containers have none.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{
    abi,
    ioctl::{Media, Video, device_numbers},
};
use crate::error::{Error, Result};

/// The driver name of the devices that are taken without being named.
const DRIVER: &[u8] = b"daedalus";

/// A decoder's two device nodes.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where requests come from.
    pub media: PathBuf,
    /// Where pictures are decoded.
    pub video: PathBuf,
    /// The name of the kernel driver.
    driver: String,
    /// Device numbers of `video`.
    numbers: (u32, u32),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.video.display(), self.driver)
    }
}

impl Node {
    /// The decoders in `/dev` whose driver is Daedalus. Devices that may not be opened are passed over.
    pub fn scan() -> Vec<Node> {
        let named = |media: &PathBuf| {
            Media::open(media)
                .and_then(|device| device.info())
                .is_ok_and(|info| text(&info.driver) == DRIVER)
        };
        media_devices().into_iter().filter(named).flat_map(|media| of_media(&media)).collect()
    }

    /// A node of a device that does nothing.
    #[cfg(test)]
    pub fn nowhere() -> Node {
        let null = || PathBuf::from("/dev/null");
        Node { media: null(), video: null(), driver: "null".into(), numbers: (1, 3) }
    }

    /// Daedalus' video devices without their media devices: they decode nothing.
    #[cfg(feature = "embedded")]
    pub fn videos() -> Vec<Node> {
        let described = |video: PathBuf| {
            let capability = Video::open(&video).and_then(|device| device.capability()).ok()?;
            let driver = String::from_utf8_lossy(text(&capability.driver)).into_owned();
            let numbers = device_numbers(&video)?;
            Some(Node { media: PathBuf::new(), video, driver, numbers })
        };
        let nodes = nodes_named("video").into_iter().filter_map(described);
        nodes.filter(|node| node.driver.as_bytes() == DRIVER).collect()
    }

    /// The decoders behind a device node that somebody named, whatever their driver: all of a media
    /// device, or the one video device.
    pub fn at(path: &Path) -> Result<Vec<Node>> {
        let numbers = device_numbers(path).ok_or_else(|| {
            Error::OperationFailed(format!("{} is no character device", path.display()))
        })?;
        let mut nodes = of_media(path);
        if nodes.is_empty() {
            nodes = media_devices().iter().flat_map(|media| of_media(media)).collect();
            nodes.retain(|node| node.numbers == numbers);
        }
        if nodes.is_empty() {
            return Err(Error::OperationFailed(format!(
                "{} belongs to no media device that can be opened",
                path.display()
            )));
        }
        Ok(nodes)
    }

    /// Why the decoder cannot work now, if it tells: Daedalus' module has an attribute that says whether
    /// its daemon is there. Other decoders have none, and are always at work.
    pub fn absent(&self) -> Option<String> {
        let state = self.attribute("daemon")?;
        (state != "attached").then(|| format!("its daemon is {state}"))
    }

    /// How many daemons the decoder has had, if it tells: tells one from the next.
    pub fn daemons(&self) -> Option<u64> {
        self.attribute("daemons")?.parse().ok()
    }

    fn attribute(&self, name: &str) -> Option<String> {
        let (major, minor) = self.numbers;
        let text = std::fs::read_to_string(format!("/sys/dev/char/{major}:{minor}/{name}")).ok()?;
        Some(text.trim().to_owned())
    }
}

/// The video devices of a media device, in the order that it has.
fn of_media(media: &Path) -> Vec<Node> {
    let described = Media::open(media)
        .and_then(|device| Ok((device.info()?, device.interfaces()?)))
        .inspect_err(|error| log::debug!("{}: {error}", media.display()));
    let Ok((info, interfaces)) = described else { return Vec::new() };
    let driver = String::from_utf8_lossy(text(&info.driver)).into_owned();
    let videos = nodes_named("video");
    video_numbers(&interfaces)
        .into_iter()
        .filter_map(|numbers| {
            let video = videos.iter().find(|path| device_numbers(path) == Some(numbers))?;
            Some(Node {
                media: media.to_owned(),
                video: video.clone(),
                driver: driver.clone(),
                numbers,
            })
        })
        .collect()
}

/// Device numbers of the interfaces that are video devices.
fn video_numbers(interfaces: &[abi::MediaInterface]) -> Vec<(u32, u32)> {
    interfaces
        .iter()
        .filter(|interface| interface.intf_type == abi::MEDIA_INTF_T_V4L_VIDEO)
        .map(|interface| (interface.major, interface.minor))
        .collect()
}

fn media_devices() -> Vec<PathBuf> {
    nodes_named("media")
}

/// `/dev/video0`, `/dev/video1` ... for `video`, in the order of their numbers.
fn nodes_named(kind: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/dev") else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    sorted(names, kind).map(|name| Path::new("/dev").join(name)).collect()
}

fn sorted(names: impl Iterator<Item = String>, kind: &str) -> impl Iterator<Item = String> {
    let number = |name: &String| name.strip_prefix(kind)?.parse::<u32>().ok();
    let mut numbered: Vec<_> =
        names.filter_map(|name| number(&name).map(|number| (number, name))).collect();
    numbered.sort();
    numbered.into_iter().map(|(_, name)| name)
}

/// A name in a fixed array, without the zeros behind it.
fn text(array: &[u8]) -> &[u8] {
    array.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros;

    use super::*;

    #[test]
    fn a_topology_names_its_video_devices_alone() {
        let interface = |intf_type, major, minor| abi::MediaInterface {
            intf_type,
            major,
            minor,
            ..FromZeros::new_zeroed()
        };
        // A sub-device, an ALSA device, and two video devices.
        let interfaces = [
            interface(0x203, 81, 5),
            interface(abi::MEDIA_INTF_T_V4L_VIDEO, 81, 2),
            interface(0x300, 116, 0),
            interface(abi::MEDIA_INTF_T_V4L_VIDEO, 81, 0),
        ];
        assert_eq!(video_numbers(&interfaces), [(81, 2), (81, 0)]);
    }

    #[test]
    fn device_nodes_come_in_the_order_of_their_numbers() {
        let names = ["media10", "mediactl", "null", "media2", "video0", "media"];
        let names = sorted(names.into_iter().map(String::from), "media");
        assert_eq!(names.collect::<Vec<_>>(), ["media2", "media10"]);
    }

    #[test]
    fn names_end_at_the_first_zero() {
        assert_eq!(text(b"daedalus\0\0x"), b"daedalus");
        assert_eq!(text(b"daedalus"), b"daedalus");
        assert_eq!(text(b""), b"");
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for path in ["/dev/null", "/", "/nonexistent"] {
            assert!(Node::at(Path::new(path)).is_err(), "{path}");
        }
    }
}

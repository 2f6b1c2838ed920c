//! Which client decodes a stream through VA-API, and what clients cannot do by themselves.

use std::collections::HashMap;

use super::Recipe;
use crate::clients::{self, Client, Failure};
use crate::stream::Codec;

/// What clients say when they refuse before they ask the driver; the next one is asked then.
const REFUSALS: &[(Client, &str)] = &[
    // ffmpeg before 7 knows no 4:0:0 of AV1 over VA-API.
    (Client::FfmpegDownload, "Failed to get pixel format."),
    (Client::FfmpegMap, "Failed to get pixel format."),
    (Client::Mpv, "Your platform doesn't suppport hardware accelerated AV1 decoding"),
];

/// The installed clients.
pub struct Witnesses {
    versions: HashMap<Client, String>,
}

impl Witnesses {
    /// Asks every client for its version.
    pub fn ask() -> Result<Self, String> {
        let version = |client: Client| match client.version() {
            Ok(version) => Ok((client, version)),
            Err(why) => Err(format!("{client}: {why}")),
        };
        let versions = clients::ALL.into_iter().map(version).collect::<Result<_, String>>()?;
        Ok(Self { versions })
    }

    /// Whether 10-bit H.264 can be drawn: ffmpeg maps it to VA-API from version 7 on, the others not.
    pub(super) fn decode_high10(&self) -> bool {
        self.major(Client::FfmpegDownload) >= 7
    }

    fn major(&self, client: Client) -> u32 {
        let version = self.versions.get(&client).map_or("", String::as_str);
        version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0)
    }

    /// Why `client` is not asked to decode `recipe`: a fault of its own, which the driver cannot mend.
    pub(super) fn fault(&self, client: Client, recipe: &Recipe) -> Option<&'static str> {
        let codec = recipe.encoder.codec();
        match client {
            Client::Gstreamer if codec == Codec::Av1 && recipe.traits.segments => {
                Some("its parser drops segmentation flags where the data are not updated")
            }
            Client::Gstreamer if codec == Codec::H264 && recipe.traits.monochrome => {
                Some("it asks for 4:0:0 surfaces, which the driver does not have")
            }
            Client::Gstreamer | Client::Mpv if codec == Codec::H264 && recipe.shape.depth == 10 => {
                Some("it knows no High 10 over VA-API")
            }
            Client::Mpv if recipe.shape.frames < 8 => {
                Some("it hangs where a stream ends before its decoder gave a first frame")
            }
            _ => None,
        }
    }

    /// Whether `failure` is a client's own refusal; what it said.
    pub(super) fn refusal(client: Client, failure: &Failure) -> Option<&'static str> {
        REFUSALS
            .iter()
            .find(|(who, message)| *who == client && failure.log().contains(message))
            .map(|(_, message)| *message)
    }
}

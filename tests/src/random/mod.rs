//! Randomised encodes: a seed draws an encoder, its options and what it encodes ([`Recipe`]); the stream
//! is made, decoded in software for reference and through VA-API by a client, and compared ([`Trial`]).
//!
//! The same seed draws the same recipe wherever the same encoders are installed, so that a failure is
//! one number. What a seed draws is changed by any change of what is drawn here.

use crate::clients::Client;
use crate::stream::{Codec, Layout};

pub mod dice;
mod encode;
pub mod encoders;
mod options;
mod reference;
mod shape;
mod source;
mod trial;
mod witness;

use dice::Dice;
use encoders::{Encoder, Installed, Traits};
use options::Options;
pub use shape::Shape;
pub use trial::{Bench, Outcome, Trial};
pub use witness::Witnesses;

/// What seeds may draw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice {
    /// Encoders of this codec only.
    pub codec: Option<Codec>,
    /// This encoder only.
    pub encoder: Option<Encoder>,
}

impl Choice {
    /// The encoders that are left, and how often each is drawn.
    pub fn encoders(&self) -> Vec<(u32, Encoder)> {
        let fits = |encoder: Encoder| {
            self.codec.is_none_or(|codec| codec == encoder.codec())
                && self.encoder.is_none_or(|only| only == encoder)
        };
        encoders::ALL.into_iter().filter(|(_, encoder)| fits(*encoder)).collect()
    }
}

/// An encode, from what is encoded to the name of its file, and who decodes it.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// What it was drawn from.
    pub seed: u64,
    /// Who encodes.
    pub encoder: Encoder,
    /// The frames that are encoded.
    pub shape: Shape,
    /// The filter graph that makes them.
    graph: String,
    /// What the encoder is told.
    options: Options,
    /// The stream's extension.
    extension: &'static str,
    /// What the stream asks of clients.
    traits: Traits,
    /// The clients in the order in which they are asked.
    clients: Vec<Client>,
}

impl Recipe {
    /// Draws from `seed`. `None` if `choice` leaves no encoder that is installed.
    pub fn draw(
        seed: u64,
        choice: &Choice,
        installed: &Installed,
        witnesses: &Witnesses,
    ) -> Option<Self> {
        let candidates = choice.encoders();
        if !candidates.iter().any(|(_, encoder)| installed.has(*encoder)) {
            return None;
        }
        let mut dice = Dice::new(seed);
        // Drawn from all, again while it is absent: most seeds draw the same on every machine.
        let encoder = loop {
            let encoder = dice.weighted(&candidates);
            if installed.has(encoder) {
                break encoder;
            }
        };
        let draft = encoder.draw(&mut dice, witnesses.decode_high10());
        let graph = source::draw(&mut dice, &draft.shape);
        let mut clients = crate::clients::ALL.to_vec();
        let turn = dice.range(0..=clients.len() as u32 - 1);
        clients.rotate_left(turn as usize);
        let (shape, options) = (draft.shape, draft.options);
        let (extension, traits) = (draft.extension, draft.traits);
        Some(Self { seed, encoder, shape, graph, options, extension, traits, clients })
    }

    /// The layout of the decoded frames.
    pub fn layout(&self) -> Layout {
        if self.shape.depth == 10 { Layout::P010 } else { Layout::Nv12 }
    }

    /// Who encodes what, in a few words: "aomenc 131x97x12 p010".
    pub fn title(&self) -> String {
        let Shape { width, height, frames, interlaced, .. } = self.shape;
        let scan = if interlaced { "i" } else { "" };
        let depth = self.layout().ffmpeg().trim_end_matches("le");
        format!("{} {width}x{height}x{frames}{scan} {depth} {}", self.encoder, self.extension)
    }

    /// What the encoder is told, in one line.
    pub fn told(&self) -> String {
        self.options.words(options::Style::Joined, |_| true).join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_leaves_what_fits() {
        let choice = Choice { codec: Some(Codec::Vp9), encoder: None };
        assert!(choice.encoders().iter().all(|(_, encoder)| encoder.codec() == Codec::Vp9));
        assert_eq!(choice.encoders().len(), 2);
        let nothing = Choice { codec: Some(Codec::Vp9), encoder: Some(Encoder::X264) };
        assert!(nothing.encoders().is_empty());
    }
}

//! The flags of vaPutSurface.

use libva_sys as va;

use super::{Colour, Error};

/// Which lines of the picture are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// All.
    Frame,
    /// The first, third, fifth ... line, each stretched to the height of two.
    Top,
    /// The second, fourth, sixth ... line, each stretched to the height of two.
    Bottom,
}

/// How pixels are computed when source and destination differ in size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// Two pixels each way, also when scaling down.
    Fast,
    /// Linear; all pixels count when scaling down.
    Default,
    /// Cubic (Catmull-Rom); all pixels count when scaling down.
    High,
}

/// What the flags ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// `VA_TOP_FIELD`, `VA_BOTTOM_FIELD`; neither or both: the frame.
    pub field: Field,
    /// `VA_CLEAR_DRAWABLE`: what the picture does not cover becomes black.
    pub clear: bool,
    /// `VA_SRC_BT601` (also without a flag, as va.h leaves the default to the driver), `VA_SRC_BT709`.
    pub colour: Colour,
    /// `VA_FILTER_SCALING_*` and `VA_FILTER_INTERPOLATION_*`; the latter, being more exact, wins.
    pub filter: Filter,
}

impl Options {
    /// Reads the flags. Fails with [`Error::Flags`], naming those that are unknown or not honoured:
    /// `VA_ENABLE_BLEND` (there is no constant colour to blend with), non-linear anamorphic scaling,
    /// several source colour standards at once.
    pub fn from_flags(flags: u32) -> Result<Options, Error> {
        let known = va::VA_TOP_FIELD
            | va::VA_BOTTOM_FIELD
            | va::VA_CLEAR_DRAWABLE
            | va::VA_SRC_COLOR_MASK
            | va::VA_FILTER_SCALING_MASK
            | va::VA_FILTER_INTERPOLATION_MASK;
        if flags & !known != 0 {
            return Err(Error::Flags(flags & !known));
        }
        let field = match (flags & va::VA_TOP_FIELD != 0, flags & va::VA_BOTTOM_FIELD != 0) {
            (true, false) => Field::Top,
            (false, true) => Field::Bottom,
            _ => Field::Frame,
        };
        let colour = match flags & va::VA_SRC_COLOR_MASK {
            0 | va::VA_SRC_BT601 => Colour::Bt601,
            va::VA_SRC_BT709 => Colour::Bt709,
            other => return Err(Error::Flags(other)),
        };
        let filter = match flags & va::VA_FILTER_INTERPOLATION_MASK {
            va::VA_FILTER_INTERPOLATION_DEFAULT => match flags & va::VA_FILTER_SCALING_MASK {
                va::VA_FILTER_SCALING_DEFAULT => Filter::Default,
                va::VA_FILTER_SCALING_FAST => Filter::Fast,
                va::VA_FILTER_SCALING_HQ => Filter::High,
                other => return Err(Error::Flags(other)),
            },
            va::VA_FILTER_INTERPOLATION_NEAREST_NEIGHBOR => Filter::Nearest,
            va::VA_FILTER_INTERPOLATION_BILINEAR => Filter::Default,
            va::VA_FILTER_INTERPOLATION_ADVANCED => Filter::High,
            other => return Err(Error::Flags(other)),
        };
        Ok(Options { field, clear: flags & va::VA_CLEAR_DRAWABLE != 0, colour, filter })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_options() {
        let plain = Options {
            field: Field::Frame,
            clear: false,
            colour: Colour::Bt601,
            filter: Filter::Default,
        };
        assert_eq!(Options::from_flags(0), Ok(plain));
        assert_eq!(
            Options::from_flags(
                va::VA_TOP_FIELD
                    | va::VA_CLEAR_DRAWABLE
                    | va::VA_SRC_BT709
                    | va::VA_FILTER_SCALING_HQ
            ),
            Ok(Options {
                field: Field::Top,
                clear: true,
                colour: Colour::Bt709,
                filter: Filter::High
            })
        );
        assert_eq!(Options::from_flags(va::VA_TOP_FIELD | va::VA_BOTTOM_FIELD), Ok(plain));
    }

    #[test]
    fn flags_that_are_not_honoured_are_refused() {
        for flags in [
            va::VA_ENABLE_BLEND,
            va::VA_FILTER_SCALING_NL_ANAMORPHIC,
            va::VA_SRC_BT601 | va::VA_SRC_BT709,
            // A standard of analogue HDTV that no stream here uses.
            va::VA_SRC_SMPTE_240,
            0x80,
            0x4000,
            0x8000_0000,
        ] {
            assert_eq!(Options::from_flags(flags), Err(Error::Flags(flags)));
        }
    }
}

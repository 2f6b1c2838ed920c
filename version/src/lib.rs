//! What the driver, the daemon and the tool say of themselves. The build script finds the revision: the
//! variable `DAEDALUS_REVISION`, else the file `REVISION` of a source package, else git.

/// The version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The git revision; empty if the build did not know it.
pub const REVISION: &str = env!("DAEDALUS_REVISION");

/// Both, for people: `0.1.0 (0123456789ab)`, or the version alone.
pub const TEXT: &str = env!("DAEDALUS_TEXT");

/// [`TEXT`] behind a name, as a C string; for `const`s.
#[macro_export]
macro_rules! c_string {
    ($name:literal) => {{
        const TEXT: &str = $crate::TEXT;
        const NAME: &str = $name;
        const LENGTH: usize = NAME.len() + 1 + TEXT.len() + 1;
        const BYTES: [u8; LENGTH] = {
            let mut bytes = [0; LENGTH];
            let mut at = 0;
            while at < NAME.len() {
                bytes[at] = NAME.as_bytes()[at];
                at += 1;
            }
            bytes[at] = b' ';
            at += 1;
            let mut from = 0;
            while from < TEXT.len() {
                bytes[at + from] = TEXT.as_bytes()[from];
                from += 1;
            }
            bytes
        };
        match ::std::ffi::CStr::from_bytes_with_nul(&BYTES) {
            Ok(text) => text,
            Err(_) => panic!("there is no NUL in it"),
        }
    }};
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    const NAMED: &CStr = c_string!("Name");

    #[test]
    fn the_text_has_the_version_and_the_revision_if_there_is_one() {
        assert!(TEXT.starts_with(VERSION), "{TEXT}");
        match REVISION {
            "" => assert_eq!(TEXT, VERSION),
            revision => assert_eq!(TEXT, format!("{VERSION} ({revision})")),
        }
    }

    #[test]
    fn a_c_string_has_the_name_before_the_text() {
        assert_eq!(NAMED.to_str().unwrap(), format!("Name {TEXT}"));
    }
}

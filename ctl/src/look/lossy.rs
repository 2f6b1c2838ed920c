//! Paths in reports: JSON has text, and they need not be.

use std::path::{Path, PathBuf};

use serde::Serializer;

pub fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

pub fn option<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => serializer.serialize_some(&path.to_string_lossy()),
        None => serializer.serialize_none(),
    }
}

pub fn list<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Paths {
        #[serde(serialize_with = "path")]
        one: PathBuf,
        #[serde(serialize_with = "option")]
        maybe: Option<PathBuf>,
        #[serde(serialize_with = "option")]
        none: Option<PathBuf>,
        #[serde(serialize_with = "list")]
        some: Vec<PathBuf>,
    }

    #[test]
    fn what_is_no_text_is_shown_as_far_as_it_is() {
        let odd = PathBuf::from(OsStr::from_bytes(b"/tmp/\xff"));
        let paths = Paths {
            one: odd.clone(),
            maybe: Some(odd.clone()),
            none: None,
            some: vec![odd, "/a".into()],
        };
        let text = serde_json::to_string(&paths).unwrap();
        let odd = "\"/tmp/\u{fffd}\"";
        let expected =
            format!("{{\"one\":{odd},\"maybe\":{odd},\"none\":null,\"some\":[{odd},\"/a\"]}}");
        assert_eq!(text, expected);
    }
}

//! Rows that a client refuses by itself, before it asks the driver (`refusals.tsv`).

use std::path::Path;

use crate::clients::Client;

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Who refuses.
    pub client: Client,
    /// Which versions of it: one that begins so; `*` for all.
    pub version: String,
    /// The stream's name.
    pub stream: String,
    /// What the client says then; it must really appear.
    pub message: String,
    /// The client that decodes the stream exactly all the same.
    pub exact_through: Client,
}

impl Refusal {
    /// Whether this line speaks of `version` of `client`.
    pub fn applies(&self, client: Client, version: &str) -> bool {
        self.client == client && (self.version == "*" || version.starts_with(&self.version))
    }
}

/// Reads the table next to this crate's manifest.
pub fn table() -> Result<Vec<Refusal>, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("refusals.tsv");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<Refusal>, String> {
    let line = |line: &str| {
        let [client, version, stream, message, exact] =
            line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        Some(Refusal {
            client: Client::named(client)?,
            version: version.to_owned(),
            stream: stream.to_owned(),
            message: message.to_owned(),
            exact_through: Client::named(exact).filter(|e| *e != Client::named(client).unwrap())?,
        })
    };
    text.lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
        .map(|l| line(l).ok_or(format!("refusals.tsv: cannot read: {l}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_match_by_prefix() {
        let table = parse("mpv\t0.35\ta.264\tno\tffmpeg-hwmap\n").unwrap();
        assert!(table[0].applies(Client::Mpv, "0.35.1"));
        assert!(!table[0].applies(Client::Mpv, "0.40.0"));
        assert!(!table[0].applies(Client::Gstreamer, "0.35.1"));
    }

    #[test]
    fn a_line_that_names_no_client_or_itself_as_witness_is_an_error() {
        assert!(parse("vlc\t*\ta\tno\tmpv\n").is_err());
        assert!(parse("mpv\t*\ta\tno\tmpv\n").is_err());
    }

    #[test]
    fn the_committed_table_is_readable() {
        assert!(table().is_ok(), "{:?}", table());
    }
}

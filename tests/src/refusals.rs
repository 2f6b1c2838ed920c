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
    /// Who decodes the stream exactly all the same.
    pub exact_through: Witness,
}

/// What shows that a refused stream is no matter of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// Another client.
    Client(Client),
    /// `tests/small_client`, written `small-client`: for streams that no installed client takes.
    SmallClient,
}

impl Witness {
    fn named(name: &str) -> Option<Self> {
        match name {
            "small-client" => Some(Witness::SmallClient),
            _ => Client::named(name).map(Witness::Client),
        }
    }
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
        let client = Client::named(client)?;
        Some(Refusal {
            client,
            version: version.to_owned(),
            stream: stream.to_owned(),
            message: message.to_owned(),
            exact_through: Witness::named(exact).filter(|e| *e != Witness::Client(client))?,
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
    fn the_small_client_is_a_witness_but_no_client() {
        let table = parse("mpv\t*\ta.264\tno\tsmall-client\n").unwrap();
        assert_eq!(table[0].exact_through, Witness::SmallClient);
        assert!(parse("small-client\t*\ta.264\tno\tmpv\n").is_err());
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

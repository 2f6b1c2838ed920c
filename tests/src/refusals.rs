//! Rows that a client cannot do by itself, whatever the driver does (`refusals.tsv`).

use std::path::Path;

use crate::clients::Client;

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Who refuses.
    pub client: Client,
    /// Which versions of it: those that begin with one of these, separated by commas; `*` for all.
    pub version: String,
    /// The stream's name.
    pub stream: String,
    /// What becomes of it; that must really happen.
    pub fault: Fault,
    /// Who decodes the stream exactly all the same.
    pub exact_through: Witness,
}

/// How a client fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It gives up with this message.
    Says(String),
    /// It never ends. Written `hangs: REASON`.
    Hangs,
    /// It gives other frames, because it asks the driver for something else than the stream says.
    /// Written `differs: REASON`.
    Differs,
    /// It reads beyond its surfaces: other frames, or a crash. Written `overruns: REASON`.
    Overruns,
    /// It gives all frames of the catalogue, in order, and others that the catalogue leaves out. Written
    /// `among-others: REASON`.
    AmongOthers,
}

impl Fault {
    fn of(text: &str) -> Self {
        match text.split_once(": ") {
            Some(("hangs", _)) => Fault::Hangs,
            Some(("differs", _)) => Fault::Differs,
            Some(("overruns", _)) => Fault::Overruns,
            Some(("among-others", _)) => Fault::AmongOthers,
            _ => Fault::Says(text.to_owned()),
        }
    }
}

/// What shows that a refused stream is no matter of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// Another client.
    Client(Client),
    /// `tests/small_client`, written `small-client`: for streams that no installed client takes.
    SmallClient,
    /// Nobody, since VA-API has no way to say what the stream needs. Written `nobody: REASON`.
    Nobody,
}

impl Witness {
    fn named(name: &str) -> Option<Self> {
        match name {
            "small-client" => Some(Witness::SmallClient),
            _ if name.starts_with("nobody: ") => Some(Witness::Nobody),
            _ => Client::named(name).map(Witness::Client),
        }
    }
}

impl Refusal {
    /// Whether this line speaks of `version` of `client`.
    pub fn applies(&self, client: Client, version: &str) -> bool {
        let mut versions = self.version.split(',');
        self.client == client && versions.any(|v| v == "*" || version.starts_with(v))
    }
}

impl Refusal {
    /// Whether `log` has the message that the client is to end with.
    pub fn is_said_in(&self, log: &str) -> bool {
        matches!(&self.fault, Fault::Says(words) if log.contains(words))
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
            fault: Fault::of(message),
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
        let table = parse("mpv\t0.35,0.40\ta.264\tno\tffmpeg-hwmap\n").unwrap();
        assert!(table[0].applies(Client::Mpv, "0.40.0"));
    }

    #[test]
    fn faults_are_told_apart() {
        let fault = |text: &str| {
            parse(&format!("mpv\t*\ta\t{text}\tffmpeg-hwmap\n")).unwrap().remove(0).fault
        };
        assert_eq!(fault("hangs: at the end"), Fault::Hangs);
        assert_eq!(fault("differs: other layers"), Fault::Differs);
        assert_eq!(fault("overruns: small surfaces"), Fault::Overruns);
        assert_eq!(fault("among-others: damaged"), Fault::AmongOthers);
        assert_eq!(fault("No: sorry"), Fault::Says("No: sorry".into()));
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

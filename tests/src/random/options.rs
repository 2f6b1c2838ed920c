//! What an encoder is told, before it is written the way that its program wants it.

/// A list of named options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(Vec<(String, Option<String>)>);

/// How a program takes an option that has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `--name=value`
    Joined,
    /// `--name value`
    Apart,
    /// `-name value`
    OneDash,
}

impl Options {
    /// Adds `name` with a value.
    pub fn set(&mut self, name: &str, value: impl ToString) {
        self.0.push((name.to_owned(), Some(value.to_string())));
    }

    /// Adds `name` alone.
    pub fn flag(&mut self, name: &str) {
        self.0.push((name.to_owned(), None));
    }

    /// Whether `name` is among them.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// `name=value:name=value`, as `-x264-params` and its like take it.
    pub fn joined(&self) -> String {
        let one = |(name, value): &(String, Option<String>)| match value {
            Some(value) => format!("{name}={value}"),
            None => format!("{name}=1"),
        };
        self.0.iter().map(one).collect::<Vec<_>>().join(":")
    }

    /// The words of a command line, without the options that `known` denies.
    pub fn words(&self, style: Style, known: impl Fn(&str) -> bool) -> Vec<String> {
        let mut words = Vec::new();
        for (name, value) in self.0.iter().filter(|(name, _)| known(name)) {
            // One letter takes one dash everywhere.
            let dash = if style == Style::OneDash || name.len() == 1 { "-" } else { "--" };
            match (style, value) {
                (_, None) => words.push(format!("{dash}{name}")),
                (Style::Joined, Some(value)) => words.push(format!("{dash}{name}={value}")),
                (_, Some(value)) => words.extend([format!("{dash}{name}"), value.clone()]),
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_is_told_in_its_own_way() {
        let mut options = Options::default();
        options.set("crf", 30);
        options.flag("ivf");
        let all = |_: &str| true;
        assert_eq!(options.words(Style::Joined, all), ["--crf=30", "--ivf"]);
        assert_eq!(options.words(Style::Apart, all), ["--crf", "30", "--ivf"]);
        assert_eq!(options.words(Style::OneDash, all), ["-crf", "30", "-ivf"]);
        assert_eq!(options.joined(), "crf=30:ivf=1");
    }

    #[test]
    fn what_an_older_encoder_does_not_know_is_left_out() {
        let mut options = Options::default();
        options.set("old", 1);
        options.set("new", 2);
        assert_eq!(options.words(Style::Joined, |name| name == "old"), ["--old=1"]);
    }
}

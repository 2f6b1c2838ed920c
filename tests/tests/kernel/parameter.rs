//! Parameters of the module.

use std::fs;

/// A parameter that has another value for a while.
pub struct Parameter {
    path: String,
    before: String,
}

impl Parameter {
    /// Sets a parameter; dropping this sets it back.
    pub fn set(name: &str, value: u32) -> Result<Parameter, String> {
        let path = format!("/sys/module/daedalus/parameters/{name}");
        let before = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        fs::write(&path, value.to_string()).map_err(|e| format!("{path}: {e}"))?;
        Ok(Parameter { path, before })
    }
}

impl Drop for Parameter {
    fn drop(&mut self) {
        // The next test sets its own if it minds.
        let _ = fs::write(&self.path, self.before.trim());
    }
}

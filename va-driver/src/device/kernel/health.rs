//! Whether a device is fit to decode, as it says and as its sessions have found out.

use std::sync::{Mutex, PoisonError};

use super::discover::Node;

/// What is known of a device, by all of its sessions in this process.
pub(super) struct Health {
    node: Node,
    /// The daemon that has failed a session, by its number; the outer is `None` if none has.
    failed: Mutex<Option<Option<u64>>>,
}

impl Health {
    pub fn of(node: Node) -> Health {
        Health { node, failed: Mutex::default() }
    }

    /// A session has failed with the daemon that is there.
    pub fn failed(&self) {
        let daemon = self.node.daemons();
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(daemon);
    }

    /// Why the device should not be used while there is another. A daemon that has failed once is not tried
    /// again, since finding out takes so long; the next one is.
    pub fn complaint(&self) -> Option<String> {
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        self.node.absent().or_else(|| {
            let same = failed? == self.node.daemons();
            same.then(|| "its daemon has failed".into())
        })
    }
}

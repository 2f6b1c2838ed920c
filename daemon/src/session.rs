//! One client's stream: its engine session and its buffers.

use std::{collections::HashSet, io, sync::Arc};

use daedalus_engine as engine;
use daedalus_uapi::{Codec, protocol::Decode};

use crate::{
    buffer::{Buffers, Epoch, Target},
    completion::Completer,
    dump::Dump,
    mapping::Mapping,
};

/// A session of the module.
pub struct Session {
    number: u64,
    engine: engine::Session,
    buffers: Buffers,
    epoch: Epoch,
    /// Controls that a warning has named already.
    passed_over: HashSet<u32>,
}

impl Session {
    /// Starts a session. Fails if the decoder cannot be set up.
    pub fn open(number: u64, codec: Codec, options: &engine::Options) -> engine::Result<Session> {
        Ok(Session {
            number,
            engine: engine::Session::new(codec, options)?,
            buffers: Buffers::default(),
            epoch: Epoch::default(),
            passed_over: HashSet::new(),
        })
    }

    /// Takes a request, which is answered exactly once through `completer`.
    pub fn decode(&mut self, request: Decode<'_>, completer: &Completer, dump: Option<&mut Dump>) {
        let (session, cookie) = (self.number, request.cookie);
        for id in &request.unknown_controls {
            if self.passed_over.insert(*id) {
                log::warn!("session {session}: passing over the control {id:#x}, which is unknown");
            }
        }
        // Without a target the picture is decoded all the same: later ones may refer to it.
        let target = match self.target(&request, completer) {
            Ok(target) => Some(target),
            Err(why) => {
                log::warn!("session {session}: no buffer for request {cookie}: {why}");
                None
            }
        };
        let (controls, data) = match request.coded {
            Ok((controls, data)) => (controls, data.to_vec()),
            Err(flaw) => {
                log::warn!("session {session}: request {cookie}: {flaw}");
                return completer.failed(session, cookie);
            }
        };
        let shown = target.is_some();
        let request = engine::Request {
            timestamp: request.timestamp,
            controls,
            data,
            hold_capture: request.hold_capture,
            target: target.map(|target| Arc::new(target) as Arc<dyn engine::Target>),
            ungrained: None,
        };
        if let Some(dump) = dump {
            dump.write(session, &request);
        }
        let completer = completer.clone();
        let reply = engine::Reply::new(move |answer| {
            if let Err(error) = &answer {
                log::debug!("session {session}: request {cookie}: {error}");
            }
            match shown {
                true => completer.answer(session, cookie, &answer),
                false => completer.failed(session, cookie),
            }
        });
        self.engine.submit(request, reply);
    }

    fn target(&mut self, request: &Decode<'_>, completer: &Completer) -> io::Result<Target> {
        let invalid = |flaw| io::Error::new(io::ErrorKind::InvalidData, flaw);
        let frame = request.frame.as_ref().map_err(|flaw| invalid(flaw.clone()))?;
        let mapping: Arc<Mapping> = self.buffers.mapping(completer.device(), request, frame)?;
        Ok(Target::new(frame, mapping, self.epoch.clone()))
    }

    /// The client has taken back its requests: those that are not decoded yet still are, for later ones
    /// may refer to them, but are written nowhere.
    pub fn flush(&self) {
        self.epoch.advance();
    }

    /// A capture buffer goes away.
    pub fn forget(&mut self, buffer: u64) {
        self.buffers.forget(buffer);
    }

    /// Ends the session but for its decoder, whose end may take time.
    pub fn close(self) -> engine::Session {
        self.flush();
        self.engine
    }
}

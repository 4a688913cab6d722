//! Nobody listens to spans: cronx was built without the feature `usdt`.

use std::convert::Infallible;
use std::ffi::OsString;

use cronx_recording::Listened;
use nix::unistd::Uid;

use crate::Error;
use crate::probes::Probes;

/// What would be listened to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Every firing, and spans.
    #[default]
    All,
    /// Late firings alone, and spans.
    Late,
}

/// There is none.
#[derive(Debug)]
pub struct Listener(Infallible);

impl Listener {
    /// Refuses, and says what is needed.
    pub fn load(_: &Probes, _: Wanted) -> Result<Self, Error> {
        Err(Error::NotSupported {
            feature: "listening to spans",
            needs: "cronx built with its feature `usdt`".to_owned(),
        })
    }

    /// Never called.
    pub fn begin(&mut self, _: &[OsString], _: Option<Uid>, _: Option<u32>, _: &Probes) {
        match self.0 {}
    }

    pub(crate) fn see(&mut self, _: &[u8]) {
        match self.0 {}
    }

    pub(crate) fn look(&mut self) {
        match self.0 {}
    }

    pub(crate) fn drain(&mut self, _: impl FnMut(&[u8])) {
        match self.0 {}
    }

    /// Never called.
    pub fn stop(&mut self) {
        match self.0 {}
    }

    /// Never called.
    pub fn finish(self) -> Listened {
        match self.0 {}
    }
}

//! What the end-to-end tests, `./x demo` and `./x random` share: streams with known frames
//! ([`catalogue`], [`clips`], [`random`]), programs that decode them ([`clients`]), and the comparison ([`frames`]).
//!
//! Nothing here links the driver: it is reached as every program reaches it, through libva, in the
//! folder that [`driver::Environment`] names.

pub mod c_client;
pub mod catalogue;
pub mod clients;
pub mod clips;
pub mod compile;
pub mod conformance;
pub mod corpus;
pub mod ctl;
pub mod damage;
pub mod display;
pub mod driver;
pub mod frames;
pub mod jitter;
pub mod kernel;
pub mod obu;
pub mod pinpoint;
pub mod player;
pub mod proc;
pub mod process;
pub mod random;
pub mod refusals;
pub mod soak;
pub mod software;
pub mod stream;
pub mod threads;
pub mod valgrind;

//! Driver-side bindings to libva: `va_backend.h`, `va_drmcommon.h` and the decode headers, as bindgen
//! reads them from the system's libva (2.17 and later). Nothing here is hand-written but this page;
//! the meaning of each item stands in the header of the same name.
#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]
#![allow(missing_docs, clippy::all)]
#![allow(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

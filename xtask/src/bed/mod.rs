//! The beds: kernels of our own, since no kernel module belongs into the one that runs us.

pub mod vm;

//! Where the kernel calls us: an entry per hook, which finds the tasks and calls a shared body.

#[cfg(not(feature = "legacy"))]
mod btf;
#[cfg(feature = "legacy")]
mod classic;
#[cfg(not(feature = "legacy"))]
mod walk;

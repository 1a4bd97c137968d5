//! Time of a kernel on a GPU, and bytes that a rank must hold.

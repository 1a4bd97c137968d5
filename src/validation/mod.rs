//! Measured cases, and how far the simulation is from them.

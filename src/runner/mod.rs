//! A plan on the rayon pool, and the run folder.

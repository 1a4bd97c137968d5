//! A point's neighbours, simulated again.

//! Events: a queue on integer time, streams, and links that are shared fairly.

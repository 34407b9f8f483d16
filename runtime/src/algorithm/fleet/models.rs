//! Every limit against the most naive one.

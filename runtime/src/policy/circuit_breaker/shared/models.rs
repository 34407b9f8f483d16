//! Every interleaving of a circuit and what stands beside it.

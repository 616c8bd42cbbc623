//! Tables of the snapshot for people to read.

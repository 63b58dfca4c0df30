//! Motion from the bitstream: an access unit goes in, a motion field comes out, no pixel is reconstructed.

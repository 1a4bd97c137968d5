//! Two stacks: an encoder, and a decoder that attends to its output (T5, arXiv 1910.10683).

use crate::data_table::{ValueKind, data_table};

data_table! {
    /// Depth of both stacks, and tokens of a sample in each.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct EncoderDecoder {
        /// encoder-decoder: layers of the encoder.
        encoder_layers: u32 [ValueKind::CountTo(100_000)],
        /// encoder-decoder: layers of the decoder.
        decoder_layers: u32 [ValueKind::CountTo(100_000)],
        /// encoder-decoder: tokens of a sample in the encoder; default: seq_len, else 512.
        encoder_seq_len: u32 [ValueKind::CountTo(16_777_216)] = fields.find("seq_len").unwrap_or(512),
        /// encoder-decoder: tokens of a sample in the decoder; default: seq_len, else 512.
        decoder_seq_len: u32 [ValueKind::CountTo(16_777_216)] = fields.find("seq_len").unwrap_or(512),
    } reads {} with |fields| {}
}

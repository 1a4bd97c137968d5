//! Closed sets that a layout chooses from and a stack has defaults for.

use crate::closed_set;

closed_set! {
    /// Groups of ranks that share a model, by their axis.
    pub(crate) enum ModelGroup: "group" {
        /// Tensor-parallel ranks.
        Tensor = "tp",
        /// Pipeline stages.
        Pipeline = "pp",
        /// Context-parallel ranks.
        Context = "cp",
        /// Expert-parallel ranks.
        Expert = "ep",
        /// Tensor-parallel ranks inside experts.
        ExpertTensor = "etp",
    }
}

closed_set! {
    /// State that is sharded over the data-parallel group (arXiv 1910.02054).
    pub enum ZeroStage: "ZeRO stage" {
        /// Nothing: every replica holds everything.
        Z0 = "0",
        /// Optimizer states.
        Z1 = "1",
        /// And gradients.
        Z2 = "2",
        /// And parameters (FSDP).
        Z3 = "3",
    }
}

impl ZeroStage {
    /// The stage as a number, 0–3.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Z0 => 0,
            Self::Z1 => 1,
            Self::Z2 => 2,
            Self::Z3 => 3,
        }
    }
}

closed_set! {
    /// Activations that the backward pass computes again instead of keeping them.
    pub enum Recompute: "recomputation" {
        /// Nothing.
        None = "none",
        /// The attention core (arXiv 2205.05198); of latent attention the expansions instead, of
        /// experts the activation.
        Selective = "selective",
        /// Everything but each layer's input.
        Full = "full",
    }
}

closed_set! {
    /// Meaning of selective recomputation in a framework.
    pub(crate) enum SelectiveRecompute: "meaning of selective recomputation" {
        /// The attention core of every layer (arXiv 2205.05198).
        AttentionCore = "attention-core",
        /// As few whole layers as make it fit.
        Layers = "layers",
        /// All operations but the attention kernel, all-to-alls and every other matrix product
        /// (torchtitan's `op`).
        Operations = "operations",
    }
}

closed_set! {
    /// Copies of the logits that a loss function holds at once; e is the size of an activation's element.
    pub(crate) enum LossMemory: "memory of the loss" {
        /// The gradient overwrites the logits: e bytes per logit (Transformer Engine's kernel).
        InPlace = "in-place",
        /// Logits and their gradient: 2e.
        Gradient = "gradient",
        /// Logits, and their gradient in fp32 and in their own format: 2e + 4 (compilers; Liger's cross entropy over an
        /// fp32 copy).
        Fp32Gradient = "fp32-gradient",
        /// Logits, of which the logarithm of the softmax of each part of the tokens is kept in fp32: e + 4.
        LogSoftmax = "log-softmax",
        /// Separate kernels that stay in the logits' format: logits, softmax and the gradients of
        /// both: 4e.
        Half = "half",
        /// Separate kernels in fp32, the logits freed: the logarithm of the softmax, its gradient and that of the
        /// fp32 logits: 12 for e = 2 (2e + 8).
        Separate = "separate",
        /// As separate, beside logits that a variable or the output of the model holds: 14 for e = 2 (3e + 8).
        Held = "held",
        /// As separate, with the fp32 copy shifted by one token in a further copy, and the
        /// gradient in fp32: e + 16 (Hugging Face Transformers before 4.46).
        Shifted = "shifted",
    }
}

closed_set! {
    /// Order in which a pipeline stage works through its microbatches.
    pub enum PipelineSchedule: "pipeline schedule" {
        /// All forward, then all backward.
        GPipe = "gpipe",
        /// One forward, one backward.
        OneFOneB = "1f1b",
        /// 1F1B over several chunks of layers per stage.
        Interleaved = "interleaved",
        /// 1F1B with the weight gradients filling the bubble (arXiv 2401.10241).
        ZbH1 = "zb-h1",
        /// The same with twice the forward passes ahead and nearly twice the memory (arXiv 2401.10241).
        ZbH2 = "zb-h2",
        /// The same on two chunks per stage in a V, with the memory of 1F1B (arXiv 2405.15362).
        ZbV = "zb-v",
        /// From either end of the pipeline at once, on two copies of every stage, forward and backward passes in pairs
        /// (arXiv 2412.19437, section 3.2.1).
        DualPipe = "dualpipe",
        /// DualPipe cut in half: two chunks per stage in a V, forward and backward passes in pairs (deepseek-ai/DualPipe).
        DualPipeV = "dualpipe-v",
    }
}

impl PipelineSchedule {
    /// Whether weight gradients may be left for later, so that they fill the bubble.
    pub(crate) const fn splits_backward(self) -> bool {
        match self {
            Self::GPipe | Self::OneFOneB | Self::Interleaved => false,
            Self::ZbH1 | Self::ZbH2 | Self::ZbV | Self::DualPipe | Self::DualPipeV => true,
        }
    }

    /// Whether a stage has its second chunk on the way back: the first stage has the first and the last layers. DualPipe's
    /// two copies are two chunks of half as many stages.
    pub(crate) const fn is_v(self) -> bool {
        match self {
            Self::GPipe | Self::OneFOneB | Self::Interleaved | Self::ZbH1 | Self::ZbH2 => false,
            Self::ZbV | Self::DualPipe | Self::DualPipeV => true,
        }
    }

    /// Whether forward and backward passes run in pairs, one computing while the other communicates.
    pub(crate) const fn pairs_passes(self) -> bool {
        match self {
            Self::GPipe
            | Self::OneFOneB
            | Self::Interleaved
            | Self::ZbH1
            | Self::ZbH2
            | Self::ZbV => false,
            Self::DualPipe | Self::DualPipeV => true,
        }
    }

    /// Fewest and most chunks per stage that it takes.
    pub(crate) const fn chunks(self) -> (u32, u32) {
        match self {
            Self::GPipe | Self::OneFOneB | Self::ZbH1 | Self::ZbH2 => (1, 1),
            Self::Interleaved => (2, u32::MAX),
            Self::ZbV | Self::DualPipe | Self::DualPipeV => (2, 2),
        }
    }

    /// Whether it takes so many chunks per stage.
    pub(crate) const fn takes_chunks(self, chunks: u32) -> bool {
        let (fewest, most) = self.chunks();
        fewest <= chunks && chunks <= most
    }
}

closed_set! {
    /// How a framework shards unless the spec says otherwise.
    pub(crate) enum Sharding: "sharding" {
        /// Replicas with gradient buckets (DDP, Horovod).
        Replicated = "replicated",
        /// Optimizer states sharded over data parallelism (Megatron's distributed optimizer).
        Optimizer = "optimizer",
        /// Everything sharded (FSDP, ZeRO-3).
        Full = "full",
        /// Whichever of the two is faster.
        Any = "any",
    }
}

closed_set! {
    /// How ZeRO-2 reduces the gradients of a step's microbatches.
    pub(crate) enum ShardedGradients: "reduction of sharded gradients" {
        /// After each microbatch, so that a rank adds up its part alone.
        EachMicrobatch = "each-microbatch",
        /// Once per step: gradients are added up whole.
        Once = "once",
    }
}

closed_set! {
    /// Format of the gradient buffers.
    pub(crate) enum GradientPrecision: "gradient precision" {
        /// 4 bytes.
        Fp32 = "fp32",
        /// 2 bytes, in the format of training.
        Half = "half",
    }
}

closed_set! {
    /// Which tokens an encoder's head turns into logits.
    pub(crate) enum EncoderHead: "encoder head" {
        /// Every token of the sequence.
        AllTokens = "all-tokens",
        /// Only those that were masked.
        MaskedTokens = "masked-tokens",
    }
}

closed_set! {
    /// Scope of CUDA graphs, whose kernels the host does not call for one by one.
    pub enum CudaGraphs: "scope of CUDA graphs" {
        /// Nothing.
        None = "none",
        /// Each layer's forward and each layer's backward pass, without what routing decides the sizes of.
        Layer = "layer",
        /// The whole step.
        Step = "step",
    }
}

closed_set! {
    /// Parameter tensors that the host goes through in an optimizer's step.
    pub(crate) enum StepTensors: "tensors of an optimizer's step" {
        /// Every tensor of the rank, whole or in part.
        Each = "each",
        /// As many as its part of a sharded optimizer holds.
        Sharded = "sharded",
        /// One flat tensor.
        Flat = "flat",
    }
}

closed_set! {
    /// How 8-bit tensors get their scale.
    pub enum Fp8Recipe: "FP8 recipe" {
        /// From earlier steps: one pass to cast and transpose.
        Delayed = "delayed",
        /// From the tensor itself: one more pass for its maximum, on which ranks that hold parts of it agree.
        Current = "current",
        /// From blocks of 128 elements, or of 128 × 128 of weights: one pass, and products that rescale each block's sum.
        Block = "block",
    }
}

closed_set! {
    /// How much of the logits exists at once.
    pub enum Loss: "loss" {
        /// All logits of a microbatch.
        Full = "full",
        /// Those of a part of the tokens, whose gradients are made before the next part's (Liger's fused linear cross
        /// entropy).
        Chunked = "chunked",
    }
}

closed_set! {
    /// Rule by which weights follow their gradients.
    pub enum Optimizer: "optimizer" {
        /// Two moments of each parameter (arXiv 1711.05101), in the formats of the stack.
        AdamW = "adamw",
        /// Two moments of 8 bits, with an fp32 scale for each block of 256 (arXiv 2110.02861).
        AdamW8bit = "adamw-8bit",
        /// A number for each row and each column of a matrix, no momentum (arXiv 1804.04235).
        Adafactor = "adafactor",
        /// Momentum alone.
        Sgd = "sgd",
        /// Momentum, made orthogonal by five Newton-Schulz iterations in each matrix of a layer; AdamW for embedding
        /// and head (arXiv 2502.16982).
        Muon = "muon",
    }
}

closed_set! {
    /// State that is kept in the host's memory and copied to the GPU while it is used.
    pub enum Offload: "offload" {
        /// Master weights and moments: they pass through the GPU in the optimizer's step.
        Optimizer = "optimizer",
        /// Weights: those of a layer are copied in before each of its passes.
        Parameters = "parameters",
        /// Activations that the layers keep for the backward pass: copied out in the forward pass and back in the backward pass.
        Activations = "activations",
    }
}

//! Bottleneck ResNets, layer by layer (arXiv 1512.03385; v1.5 strides in the 3×3 convolution).

use crate::model::layer::{LayerBuilder, Linear, Passes};
use crate::model::lowered::{LoweredLayer, LoweredModel, Shard};
use crate::model::{Cnn, Gradients, Operator};

/// Channels that leave the stem.
const STEM_CHANNELS: u64 = 64;
/// Width of a block's output over that of its inner convolutions.
const EXPANSION: u64 = 4;

/// One convolution with its batch norm.
#[derive(Clone, Copy)]
struct Convolution {
    channels_in: u64,
    channels_out: u64,
    size_out: u64,
    kernel: u64,
    stride: u64,
    /// Whether its input needs a gradient (not the image).
    input_gradient: bool,
}

/// Lowers a convolutional net.
pub(super) fn lower(network: &Cnn, shard: &Shard) -> LoweredModel {
    let batch = u64::from(shard.micro_batch);
    let mut layer_kinds = Vec::with_capacity(8);
    let mut sequence = Vec::with_capacity(network.blocks.iter().map(|&count| count as usize).sum());
    let mut size = u64::from(network.image_size).div_ceil(4);
    let mut channels = STEM_CHANNELS;
    for (stage, &count) in (0_u32..).zip(&network.blocks) {
        let width = STEM_CHANNELS << stage;
        let stride = if stage == 0 { 1 } else { 2 };
        let shape = Block {
            batch,
            channels_in: channels,
            width,
            size_in: size,
            stride,
        };
        size = size.div_ceil(stride);
        channels = width * EXPANSION;
        let rest = Block {
            batch,
            channels_in: channels,
            width,
            size_in: size,
            stride: 1,
        };
        for at in 0..count {
            if at < 2 {
                layer_kinds.push(block(shard, if at == 0 { &shape } else { &rest }));
            }
            sequence.push(
                u16::try_from(layer_kinds.len() - 1).expect("four stages have at most eight kinds"),
            );
        }
    }
    LoweredModel {
        layer_kinds,
        sequence,
        image_layers: 0,
        embedding: stem(network, shard),
        head: head(network, shard, size, channels),
        mtp: None,
    }
}

/// A bottleneck block.
struct Block {
    batch: u64,
    channels_in: u64,
    width: u64,
    size_in: u64,
    stride: u64,
}

fn block(shard: &Shard, block: &Block) -> LoweredLayer {
    let Block {
        batch,
        channels_in,
        width,
        size_in,
        stride,
    } = *block;
    let size_out = size_in.div_ceil(stride);
    let out = width * EXPANSION;
    let input = batch * channels_in * size_in * size_in * shard.format.element_bytes;
    let mut layer = LayerBuilder::new("bottleneck", shard, Gradients::OfWeights, input);
    let convolution = |channels_in, channels_out, size_out, kernel, stride| Convolution {
        channels_in,
        channels_out,
        size_out,
        kernel,
        stride,
        input_gradient: true,
    };
    if channels_in != out {
        normed(
            &mut layer,
            shard,
            convolution(channels_in, out, size_out, 1, stride),
            Activation::None,
        );
    }
    normed(
        &mut layer,
        shard,
        convolution(channels_in, width, size_in, 1, 1),
        Activation::Relu,
    );
    normed(
        &mut layer,
        shard,
        convolution(width, width, size_out, 3, stride),
        Activation::Relu,
    );
    normed(
        &mut layer,
        shard,
        convolution(width, out, size_out, 1, 1),
        Activation::AddRelu,
    );
    layer.finish()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Activation {
    None,
    Relu,
    AddRelu,
}

/// Convolution, batch norm and the passes behind it. Batch norm reads its input twice (statistics, then
/// the result); backward it reads input and gradient twice. The rectifier and the sum of the
/// branches are further passes unless they are fused into it.
fn normed(layer: &mut LayerBuilder, shard: &Shard, shape: Convolution, then: Activation) {
    let batch = u64::from(shard.micro_batch);
    convolve(layer, shard, shape);
    let output = batch * shape.channels_out * shape.size_out * shape.size_out;
    let bytes = output * layer.element_bytes();
    layer.parameters(2 * shape.channels_out);
    layer.memory(Passes {
        forward: (3 * bytes, 1),
        backward: (5 * bytes, 1),
    });
    let fused = shard.fusion.batch_norm.hold(layer.element_bytes());
    let passes = match (then, fused) {
        (Activation::None, _) => Passes::default(),
        (Activation::Relu, true) => Passes {
            forward: (0, 0),
            backward: (0, 0),
        },
        (Activation::Relu, false) => Passes {
            forward: (2 * bytes, 1),
            backward: (3 * bytes, 1),
        },
        (Activation::AddRelu, true) => Passes {
            forward: (bytes, 1),
            backward: (bytes, 1),
        },
        (Activation::AddRelu, false) => Passes {
            forward: (5 * bytes, 2),
            backward: (6 * bytes, 2),
        },
    };
    layer.memory(passes);
    // The convolution's output for the norm, the norm's output for the next convolution.
    layer.keep(bytes);
    if then != Activation::None {
        layer.keep(bytes);
    }
    layer.transient(2 * bytes);
}

fn convolve(layer: &mut LayerBuilder, shard: &Shard, shape: Convolution) {
    let batch = u64::from(shard.micro_batch);
    let Convolution {
        channels_in,
        channels_out,
        size_out,
        kernel,
        stride,
        input_gradient,
    } = shape;
    let forward = Operator::Conv {
        batch,
        channels_in,
        channels_out,
        size_out,
        kernel,
        stride,
    };
    layer.parameters(channels_in * channels_out * kernel * kernel);
    layer.model_flops(forward.flops().get());
    // Each gradient is a convolution of the same work.
    layer.weight_operator(forward.clone());
    let gradient = input_gradient.then(|| forward.clone());
    layer.operator(forward, gradient);
    if shard.format.tensor_cores && !shard.fusion.channels_last.hold(layer.element_bytes()) {
        let copied = |elements: u64| 2 * batch * elements * layer.element_bytes();
        let size_in = size_out * stride;
        let input = copied(channels_in * size_in * size_in);
        let output = copied(channels_out * size_out * size_out);
        put_channels_last(layer, input, output, input_gradient);
    }
}

/// Copies of a convolution's operands into the order in which tensor cores take them, `input` and `output` bytes each, made
/// inside the library's call: the input, the gradient of the output, and both once more for the weights' gradient. Results are
/// written in the other order by the convolution itself (`nchwToNhwcKernel` beside `…_nhwc2nchw_tn_v1` in the profile of
/// tensorflow/tensorflow issue 15897).
fn put_channels_last(layer: &mut LayerBuilder, input: u64, output: u64, input_gradient: bool) {
    let backward = if input_gradient { (output, 1) } else { (0, 0) };
    layer.kernels(Passes {
        forward: (input, 1),
        backward,
    });
    layer.weight_kernels(input + output, 2);
}

/// 7×7 convolution of the image, batch norm, rectifier, 3×3 pooling.
fn stem(network: &Cnn, shard: &Shard) -> LoweredLayer {
    let batch = u64::from(shard.micro_batch);
    let image = u64::from(network.image_size);
    let element = shard.format.element_bytes;
    let mut layer = LayerBuilder::new(
        "stem",
        shard,
        Gradients::OfWeights,
        batch * 3 * image * image * element,
    );
    let size_out = image.div_ceil(2);
    let shape = Convolution {
        channels_in: 3,
        channels_out: STEM_CHANNELS,
        size_out,
        kernel: 7,
        stride: 2,
        input_gradient: false,
    };
    normed(&mut layer, shard, shape, Activation::Relu);
    let bytes = batch * STEM_CHANNELS * size_out * size_out * element;
    let pooled = bytes.div_ceil(4);
    layer.memory(Passes {
        forward: (bytes + pooled, 1),
        backward: (bytes + 2 * pooled, 1),
    });
    layer.keep(pooled + bytes);
    layer.finish()
}

/// Mean over the pixels, classifier, loss.
fn head(network: &Cnn, shard: &Shard, size: u64, channels: u64) -> LoweredLayer {
    let batch = u64::from(shard.micro_batch);
    let pixels = batch * channels * size * size * shard.format.element_bytes;
    let mut layer = LayerBuilder::new("head", shard, Gradients::OfWeights, pixels);
    layer.memory(Passes {
        forward: (pixels, 1),
        backward: (pixels, 1),
    });
    let classes = u64::from(network.classes);
    layer.linear(Linear {
        tokens: batch,
        outputs: classes,
        inputs: channels,
        bias: true,
        low_precision: false,
    });
    layer.keep_linear_input(batch * channels);
    layer.memory(Passes {
        forward: (12 * batch * classes, 3),
        backward: (12 * batch * classes, 2),
    });
    layer.keep(10 * batch * classes);
    layer.finish()
}

#[cfg(test)]
mod tests {
    use crate::model::samples::{last_layer, moved};
    use crate::model::{Fusion, ImageFormats, LoweredLayer, Shard};

    fn last_block(change: impl FnOnce(&mut Shard)) -> LoweredLayer {
        last_layer("resnet50", change)
    }

    fn all_moved(layer: &LoweredLayer) -> [u64; 3] {
        [
            moved(&layer.forward),
            moved(&layer.backward_input),
            moved(&layer.backward_weight),
        ]
    }

    // Convolutions of the last block take 2048, 512 and 512 channels of 7·7 pixels and give 512, 512 and 2048: 150,528 elements in
    // and as many out, of 2 bytes that are read and written, 602,112. Forward what goes in is copied, backward the gradient of
    // what comes out, and both for the gradients of weights. In fp32 nothing runs on tensor cores.
    #[test]
    fn tensor_cores_have_channels_put_last() {
        let of = |channels_last, tensor_cores| {
            let layer = last_block(|shard| {
                shard.format.tensor_cores = tensor_cores;
                shard.fusion = Fusion {
                    channels_last,
                    ..Fusion::ALL
                };
            });
            all_moved(&layer)
        };
        let plain = of(ImageFormats::All, true);
        assert_eq!(of(ImageFormats::Half, true), plain);
        assert_eq!(of(ImageFormats::None, false), plain);
        let copied = of(ImageFormats::None, true);
        assert_eq!(copied[0] - plain[0], 602_112);
        assert_eq!(copied[1] - plain[1], 602_112);
        assert_eq!(copied[2] - plain[2], 2 * 602_112);
    }

    // Two norms of 512·49 outputs of 2 bytes, 50,176 B each, are rectified: 2 passes forward, 3 backward. The last one, of 2048·49,
    // 200,704 B, is added and rectified: 5 passes for the one that a fused kernel needs, and 6 for one.
    #[test]
    fn a_norm_may_add_and_rectify() {
        let of = |batch_norm| {
            let layer = last_block(|shard| {
                shard.fusion = Fusion {
                    batch_norm,
                    ..Fusion::ALL
                };
            });
            all_moved(&layer)
        };
        let [fused, apart] = [ImageFormats::Half, ImageFormats::None].map(of);
        assert_eq!(apart[0] - fused[0], 2 * 2 * 50_176 + 4 * 200_704);
        assert_eq!(apart[1] - fused[1], 2 * 3 * 50_176 + 5 * 200_704);
        assert_eq!(apart[2], fused[2]);
    }
}

"""Axes of a spec with the types of their values. Written by `UPDATE_GOLDEN=1 cargo test --test it golden`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, Union

from .reports import Model


class Axes(TypedDict, total=False):
    """One value per axis; `catalog("axes")` tells more of each."""

    model: Union[str, Mapping[str, Any], Model]
    """Network that is trained: a preset, or one defined in the spec."""
    global_batch: Union[int, str]
    """Samples (sequences or images) per optimizer step; or batch_per_gpu in its place."""
    batch_per_gpu: Union[int, str]
    """Samples per optimizer step and GPU, for weak scaling; in place of global_batch."""
    micro_batch: Union[int, str]
    """Samples per forward pass of one replica."""
    seq_len: Union[int, str]
    """Tokens per sample. Unit: token."""
    document_length: Union[int, str]
    """Mean tokens of the documents that a sample is packed of; tokens attend to those of their own document alone. Unit: token."""
    lora_rank: Union[int, str]
    """Rank of the adapters that are trained beside each linear layer of a frozen network (LoRA)."""
    frozen: str
    """Parts of a model of images and text that are not trained."""
    precision: str
    """Number format of the matrix products."""
    fp8_recipe: str
    """How 8-bit tensors get their scale where precision is fp8; auto is as the stack does."""
    expert_imbalance: Union[int, float, str]
    """Tokens of the busiest expert over the mean of all experts; 1 is balanced."""
    attention: str
    """Attention kernel; auto is the best that GPU and stack have."""
    cuda_graphs: str
    """Scope of CUDA graphs, which the host does not launch kernel by kernel; auto is as the stack does."""
    stack: Union[str, Mapping[str, Any]]
    """Software generation: what is fused, what overlaps, what waits."""
    op: str
    """Operation of a collective study."""
    size: Union[int, str]
    """Buffer of a collective study, counted as nccl-tests counts it. Unit: B."""
    gpu: Union[str, Mapping[str, Any]]
    """GPU: a preset, one defined in the spec, or several types in one job, each with its number of GPUs."""
    nodes: Union[int, str]
    """Servers; or gpus in its place."""
    gpus: Union[int, str]
    """GPUs: whole nodes above one, part of a full node below; in place of nodes."""
    gpus_per_node: Union[int, str]
    """GPUs of one server; of a server with more, they have the NICs beside them."""
    cluster: Union[str, Mapping[str, Any]]
    """Node and fabric: NVLink domain, NICs, switches."""
    topology: Union[str, Mapping[str, Any]]
    """Network between nodes: one of the program's, or one that the spec describes."""
    oversubscription: Union[int, float, str]
    """Downlink over uplink capacity of the leaf switches."""
    nic_gbit_per_s: Union[int, float, str]
    """Network rate per GPU, one direction. Unit: Gbit/s."""
    domain_gpus: Union[int, str]
    """GPUs that one scale-up domain joins: fewer than the cluster's cut a rack's or slice's network off, down to a node's."""
    prices: str
    """Price list by which the GPUs are rented."""
    power_cap: Union[int, float, str]
    """Power limit set on each GPU, which slows its products; auto is the GPU's own. In clauses: watts. Unit: W."""
    pue: Union[int, float, str]
    """Power usage effectiveness: energy of the building over that of its machines."""
    tp: Union[int, str]
    """Tensor-parallel ranks."""
    pp: Union[int, str]
    """Pipeline stages."""
    cp: Union[int, str]
    """Context-parallel ranks."""
    cp_exchange: str
    """How context-parallel ranks get the keys and values of one another's tokens."""
    ep: Union[int, str]
    """Expert-parallel ranks."""
    vpp: Union[int, str]
    """Model chunks per pipeline stage."""
    dp: Union[int, str]
    """Data-parallel replicas; given, it must agree with gpus / (tp·pp·cp)."""
    etp: Union[int, str]
    """Tensor-parallel ranks inside experts."""
    layers_per_stage: str
    """Layers of each pipeline stage, chunk-major with vpp > 1: '4,6×14,5'."""
    zero: Union[int, str]
    """ZeRO stage; 3 is FSDP."""
    zero_group: Union[int, str]
    """Ranks that share one set of ZeRO-3's shards; fewer than dp·cp are hybrid sharding (HSDP), which copies across."""
    sequence_parallel: Union[bool, str]
    """Whether tensor parallelism shards the tokens of norms too."""
    recompute: str
    """Activations that the backward pass computes again instead of keeping them."""
    recompute_modules: str
    """Modules that the backward pass computes again, of Megatron-Core and MaxText: recompute = selective, by name."""
    recompute_layers: Union[int, str]
    """Layers of each pipeline stage that the backward pass computes again as a whole: recompute = full, of so many."""
    loss: str
    """How much of the logits exists at once."""
    optimizer: str
    """Rule by which weights follow their gradients: bytes of its state, and time of its step."""
    offload: str
    """State in the host's memory, copied over the GPU's link to it while it is used."""
    schedule: str
    """Order in which a pipeline stage works through its microbatches."""
    mixed: str
    """Sharing of a job among several types of GPU: pipeline stages, or data-parallel replicas, of each."""
    collective: Union[str, Mapping[str, Any]]
    """Algorithm of the gradient reduction and of every other all-reduce, or a schedule that reduces the gradients."""
    protocol: str
    """Wire protocol of a collective study."""
    overlap_dp: Union[bool, str]
    """Whether data-parallel communication runs beside compute."""
    overlap_tp: Union[bool, str]
    """Whether tensor-parallel communication runs beside compute."""
    overlap_pp: Union[bool, str]
    """Whether sends between pipeline stages run beside compute."""
    expert_dispatch: str
    """How tokens get to their experts: permuted copies by all-to-all, all gathered, or each once to a place by a library."""
    overlap_ep: Union[bool, str]
    """Whether exchanges with experts run beside the compute of another microbatch: with vpp over 1, or pp 1."""
    bucket_mib: Union[int, float, str]
    """Gradient bucket. Unit: MiB."""
    variability: Union[int, float, str]
    """Coefficient of variation of kernel times; 0 is deterministic."""
    iterations: Union[int, str]
    """Simulated steps, used when variability > 0."""
    seed: Union[int, str]
    """Seed of the draws, used when variability > 0; each point draws its own by its number."""

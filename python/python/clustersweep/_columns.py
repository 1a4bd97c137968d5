"""Columns of a point with their types. Written by `UPDATE_GOLDEN=1 cargo test --test it golden`."""

from __future__ import annotations

from typing import Optional


class StepColumns:
    """Every column of `points.parquet`; `None` where one does not apply."""

    point: int
    """Index of the point in the full grid, before `where`."""
    status: str
    """How the point ended: ok, infeasible or crashed."""
    reason: Optional[str]
    """Why the point did not run, with the limit, the need and what was available; null when ok."""
    reason_kind: Optional[str]
    """Kind of reason: memory, divisibility, limit, unsupported, crash or timeout; null when ok."""
    model: Optional[str]
    """Network that is trained: a preset, or one defined in the spec."""
    global_batch: Optional[int]
    """Samples (sequences or images) per optimizer step; or batch_per_gpu in its place."""
    batch_per_gpu: Optional[int]
    """Samples per optimizer step and GPU, for weak scaling; in place of global_batch."""
    micro_batch: Optional[int]
    """Samples per forward pass of one replica."""
    seq_len: Optional[int]
    """Tokens per sample. Unit: token."""
    document_length: Optional[int]
    """Mean tokens of the documents that a sample is packed of; tokens attend to those of their own document alone. Unit: token."""
    lora_rank: Optional[int]
    """Rank of the adapters that are trained beside each linear layer of a frozen network (LoRA)."""
    frozen: Optional[str]
    """Parts of a model of images and text that are not trained."""
    precision: Optional[str]
    """Number format of the matrix products."""
    fp8_recipe: Optional[str]
    """How 8-bit tensors get their scale where precision is fp8; auto is as the stack does."""
    expert_imbalance: Optional[float]
    """Tokens of the busiest expert over the mean of all experts; 1 is balanced."""
    attention: Optional[str]
    """Attention kernel; auto is the best that GPU and stack have."""
    cuda_graphs: Optional[str]
    """Scope of CUDA graphs, which the host does not launch kernel by kernel; auto is as the stack does."""
    stack: Optional[str]
    """Software generation: what is fused, what overlaps, what waits."""
    gpu: Optional[str]
    """GPU: a preset, one defined in the spec, or several types in one job, each with its number of GPUs."""
    nodes: Optional[int]
    """Servers; or gpus in its place."""
    gpus_per_node: Optional[int]
    """GPUs of one server; of a server with more, they have the NICs beside them."""
    cluster: Optional[str]
    """Node and fabric: NVLink domain, NICs, switches."""
    topology: Optional[str]
    """Network between nodes: one of the program's, or one that the spec describes."""
    oversubscription: Optional[float]
    """Downlink over uplink capacity of the leaf switches."""
    nic_gbit_per_s: Optional[float]
    """Network rate per GPU, one direction. Unit: Gbit/s."""
    domain_gpus: Optional[int]
    """GPUs that one scale-up domain joins: fewer than the cluster's cut a rack's or slice's network off, down to a node's."""
    prices: Optional[str]
    """Price list by which the GPUs are rented."""
    power_cap: Optional[float]
    """Power limit set on each GPU, which slows its products; auto is the GPU's own. In clauses: watts. Unit: W."""
    pue: Optional[float]
    """Power usage effectiveness: energy of the building over that of its machines."""
    tp: Optional[int]
    """Tensor-parallel ranks."""
    pp: Optional[int]
    """Pipeline stages."""
    cp: Optional[int]
    """Context-parallel ranks."""
    cp_exchange: Optional[str]
    """How context-parallel ranks get the keys and values of one another's tokens."""
    ep: Optional[int]
    """Expert-parallel ranks."""
    vpp: Optional[int]
    """Model chunks per pipeline stage."""
    dp: Optional[int]
    """Data-parallel replicas; given, it must agree with gpus / (tp·pp·cp)."""
    etp: Optional[int]
    """Tensor-parallel ranks inside experts."""
    layers_per_stage: Optional[str]
    """Layers of each pipeline stage, chunk-major with vpp > 1: '4,6×14,5'."""
    zero: Optional[int]
    """ZeRO stage; 3 is FSDP."""
    zero_group: Optional[int]
    """Ranks that share one set of ZeRO-3's shards; fewer than dp·cp are hybrid sharding (HSDP), which copies across."""
    sequence_parallel: Optional[bool]
    """Whether tensor parallelism shards the tokens of norms too."""
    recompute: Optional[str]
    """Activations that the backward pass computes again instead of keeping them."""
    recompute_modules: Optional[str]
    """Modules that the backward pass computes again, of Megatron-Core and MaxText: recompute = selective, by name."""
    recompute_layers: Optional[int]
    """Layers of each pipeline stage that the backward pass computes again as a whole: recompute = full, of so many."""
    loss: Optional[str]
    """How much of the logits exists at once."""
    optimizer: Optional[str]
    """Rule by which weights follow their gradients: bytes of its state, and time of its step."""
    offload: Optional[str]
    """State in the host's memory, copied over the GPU's link to it while it is used."""
    schedule: Optional[str]
    """Order in which a pipeline stage works through its microbatches."""
    mixed: Optional[str]
    """Sharing of a job among several types of GPU: pipeline stages, or data-parallel replicas, of each."""
    collective: Optional[str]
    """Algorithm of the gradient reduction and of every other all-reduce, or a schedule that reduces the gradients."""
    overlap_dp: Optional[bool]
    """Whether data-parallel communication runs beside compute."""
    overlap_tp: Optional[bool]
    """Whether tensor-parallel communication runs beside compute."""
    overlap_pp: Optional[bool]
    """Whether sends between pipeline stages run beside compute."""
    expert_dispatch: Optional[str]
    """How tokens get to their experts: permuted copies by all-to-all, all gathered, or each once to a place by a library."""
    overlap_ep: Optional[bool]
    """Whether exchanges with experts run beside the compute of another microbatch: with vpp over 1, or pp 1."""
    bucket_mib: Optional[float]
    """Gradient bucket. Unit: MiB."""
    variability: Optional[float]
    """Coefficient of variation of kernel times; 0 is deterministic."""
    iterations: Optional[int]
    """Simulated steps, used when variability > 0."""
    seed: Optional[int]
    """Seed of the draws, used when variability > 0; each point draws its own by its number."""
    gpus: Optional[int]
    """GPUs of the job."""
    used_tp: Optional[int]
    """Tensor-parallel ranks as used."""
    used_pp: Optional[int]
    """Pipeline stages as used."""
    used_dp: Optional[int]
    """Data-parallel replicas as used."""
    used_cp: Optional[int]
    """Context-parallel ranks as used."""
    used_cp_exchange: Optional[str]
    """How context-parallel ranks exchanged keys and values; null with one."""
    used_ep: Optional[int]
    """Expert-parallel ranks as used."""
    used_etp: Optional[int]
    """Tensor-parallel ranks inside experts as used."""
    used_vpp: Optional[int]
    """Model chunks per pipeline stage as used."""
    used_micro_batch: Optional[int]
    """Samples per forward pass of one replica as used."""
    microbatches: Optional[int]
    """Microbatches per step and replica: global batch / (dp · micro batch), the last one possibly in part."""
    used_zero: Optional[int]
    """ZeRO stage as used; 3 is FSDP."""
    used_zero_group: Optional[int]
    """Ranks that shared one set of ZeRO-3's shards; null where parameters are whole."""
    used_recompute: Optional[str]
    """What the backward pass computed again."""
    used_schedule: Optional[str]
    """Pipeline schedule as used."""
    used_sequence_parallel: Optional[bool]
    """Whether tensor parallelism sharded the tokens of norms too."""
    used_precision: Optional[str]
    """Number format of the matrix products as used."""
    used_attention: Optional[str]
    """Attention kernel as used."""
    used_expert_dispatch: Optional[str]
    """How tokens get to their experts, as used; null where none leaves its rank."""
    used_overlap_ep: Optional[bool]
    """Whether exchanges with experts run beside the compute of another microbatch, as used; null where there are none."""
    dropped_tokens: Optional[float]
    """Share of the visits of tokens to experts that are dropped, beyond the capacity of the busiest expert; null where experts take as many as come."""
    used_fp8_recipe: Optional[str]
    """How 8-bit tensors got their scale; null where precision is not fp8."""
    used_seq_len: Optional[int]
    """Tokens per sample as used; 1 for images."""
    used_global_batch: Optional[int]
    """Samples per optimizer step as used."""
    microbatches_by_gpu: Optional[str]
    """Microbatches of a replica on each type of gpu, in its order (3 + 5), where the job has several; null with one."""
    layers_by_gpu: Optional[str]
    """Layers of the model on each type of gpu, in its order: all, or those of its pipeline stages (20 + 60); null with one type."""
    step_time_by_gpu_s: Optional[str]
    """Seconds that each type of gpu takes for its microbatches without waiting for the others, in its order; null with one type."""
    memory_peak_by_gpu_gib: Optional[str]
    """Peak memory of the fullest GPU of each type of gpu in GiB, in its order; null with one type."""
    used_stack: Optional[str]
    """Software generation as used."""
    layouts_tried: Optional[int]
    """Layouts that were simulated to find the one that ran."""
    step_time_s: Optional[float]
    """Time of one optimizer step: the sum of its exclusive parts on the critical device. Unit: s."""
    step_time_low_s: Optional[float]
    """Lower end of the interval that would hold four of five measurements of such a step; null where nothing comparable was measured. Unit: s."""
    step_time_high_s: Optional[float]
    """Upper end of the interval that would hold four of five measurements of such a step; null where nothing comparable was measured. Unit: s."""
    step_time_uncorrected_s: Optional[float]
    """Time of the step as simulated, before the measured runs of [measured] corrected it; null where none lies near. Unit: s."""
    step_time_correction_s: Optional[float]
    """What the measured runs of [measured] add to the step, below zero where it is faster than simulated: step_time_s - step_time_uncorrected_s. Every part of the step is scaled alike; null where none lies near. Unit: s."""
    compute_s: Optional[float]
    """Part of the step in kernels of the forward and backward pass. Unit: s."""
    recompute_s: Optional[float]
    """Part of the step in kernels that repeat forward work. Unit: s."""
    tp_comm_exposed_s: Optional[float]
    """Part of the step that waits for tensor-parallel communication. Unit: s."""
    cp_comm_exposed_s: Optional[float]
    """Part of the step that waits for context-parallel communication. Unit: s."""
    ep_comm_exposed_s: Optional[float]
    """Part of the step that waits for expert-parallel communication. Unit: s."""
    pp_comm_exposed_s: Optional[float]
    """Part of the step that waits for sends between pipeline stages. Unit: s."""
    dp_comm_exposed_s: Optional[float]
    """Part of the step that waits for data-parallel communication: gradients, parameters, norms. Unit: s."""
    bubble_s: Optional[float]
    """Part of the step that waits for another pipeline stage's work. Unit: s."""
    optimizer_s: Optional[float]
    """Part of the step in the optimizer's kernels. Unit: s."""
    overhead_s: Optional[float]
    """Part of the step that waits for the host. Unit: s."""
    forward_s: Optional[float]
    """Forward passes on the critical device, exposed communication included; overlaps the exclusive parts. Unit: s."""
    backward_s: Optional[float]
    """Backward passes on the critical device, exposed communication included; overlaps the exclusive parts. Unit: s."""
    comm_busy_s: Optional[float]
    """Time during which any communication of the critical device was under way, hidden or exposed. Unit: s."""
    step_time_p50_s: Optional[float]
    """Median step time over the simulated iterations; null when variability is 0. Unit: s."""
    step_time_p95_s: Optional[float]
    """95th percentile of the step time over the simulated iterations; null when variability is 0. Unit: s."""
    step_time_p99_s: Optional[float]
    """99th percentile of the step time over the simulated iterations; null when variability is 0. Unit: s."""
    samples_per_s: Optional[float]
    """Samples per second of the whole job: used_global_batch / step_time_s. Unit: 1/s."""
    tokens_per_s: Optional[float]
    """Tokens per second of the whole job; null for images. Unit: 1/s."""
    tokens_per_s_per_gpu: Optional[float]
    """tokens_per_s / gpus; null for images. Unit: 1/s."""
    model_flops_per_gpu_per_s: Optional[float]
    """Work of the model per GPU and second: no recomputation, causal attention counted once. Unit: FLOP/s."""
    mfu: Optional[float]
    """Model FLOPs utilization (arXiv 2204.02311, appendix B): model_flops_per_gpu_per_s / dense peak of used_precision."""
    hfu: Optional[float]
    """Hardware FLOPs utilization: as mfu, with the work that the hardware did, recomputation included."""
    gpu_utilization: Optional[float]
    """Fraction of the step in which compute kernels run: (compute_s + recompute_s + optimizer_s) / step_time_s."""
    comm_fraction: Optional[float]
    """Fraction of the step that waits for communication: the sum of the *_comm_exposed_s / step_time_s."""
    memory_peak_bytes: Optional[int]
    """Peak memory of the fullest GPU: the sum of its parts. Unit: B."""
    memory_peak_low_bytes: Optional[int]
    """Lower end of the interval that would hold four of five measurements of such a peak; null where nothing comparable was measured. Unit: B."""
    memory_peak_high_bytes: Optional[int]
    """Upper end of the interval that would hold four of five measurements of such a peak; null where nothing comparable was measured. Unit: B."""
    memory_capacity_bytes: Optional[int]
    """Memory of the GPU. Unit: B."""
    memory_weights_bytes: Optional[int]
    """Weights in the format of training. Unit: B."""
    memory_gradients_bytes: Optional[int]
    """Gradient buffers. Unit: B."""
    memory_optimizer_bytes: Optional[int]
    """Master weights and moments. Unit: B."""
    memory_activations_bytes: Optional[int]
    """What the backward pass needs, logits included. Unit: B."""
    memory_buffers_bytes: Optional[int]
    """Communication buffers, workspaces, context and the allocator's reserve. Unit: B."""
    tight: Optional[bool]
    """Whether the peak lies inside the memory's headroom, memory_peak_bytes > (1 - memory_headroom) * memory_capacity_bytes: the model errs by about as much, so the job may not fit."""
    collective_used: Optional[str]
    """Algorithm that carried the gradient reduction, or the communication of a collective study; null when nothing is reduced."""
    intra_node_bytes: Optional[int]
    """Bytes that a GPU sends inside its scale-up domain per step. Unit: B."""
    inter_node_bytes: Optional[int]
    """Bytes that a GPU sends between scale-up domains per step. Unit: B."""
    link_utilization_max: Optional[float]
    """Load of the busiest link over the time that its communication takes."""
    bottleneck: Optional[str]
    """What to change first. compute where kernels that the spec asks for fill more of the step than the threshold of gpu_utilization, else what loses most: memory (recomputation that the spec did not ask for, since only the lack of memory forces it), network (exposed communication), pipeline (the bubble) or host (waiting for it)."""
    exceeded: Optional[str]
    """Every threshold of [analysis] that is crossed, joined by commas: gpu_utilization, memory, communication, bubble; empty when none is."""
    advice: Optional[str]
    """What removing the largest cause of lost time would gain at most, an upper bound read off the parts, not a simulation; what changes it; and all causes (host, bubble, memory, recomputation, scale-up links, NICs, optimizer), which sum to the step without compute_s."""
    cost_per_step_usd: Optional[float]
    """Rent of all GPUs for one step: price per GPU and hour · gpus · step_time_s / 3600, where a list has prices per node that of whole nodes; null without a price. The list is that of prices; a GPU's own price_per_hour comes before it. Unit: USD."""
    cost_per_mtoken_usd: Optional[float]
    """Rent per million tokens; null without a price and for images. Unit: USD."""
    energy_per_step_kwh: Optional[float]
    """Energy for one step of the GPUs at their power limit, or at power_cap where that is lower, with what the building adds to it, hosts left out: power · gpus · step_time_s · pue; null without a power limit. Unit: kWh."""
    goodput: Optional[float]
    """Time that the steps of the whole training take by themselves over its expected time with slow nodes, data, evaluations, checkpoints, failures and restarts ([analysis]); null without tokens or samples."""
    days: Optional[float]
    """Expected days of the whole training, everything of goodput included; null without tokens or samples. Unit: d."""
    total_cost_usd: Optional[float]
    """Rent of all GPUs for these days; null without a price, and without tokens or samples. Unit: USD."""
    total_energy_kwh: Optional[float]
    """Energy over these days, as energy_per_step_kwh counts it; null without a power limit, and without tokens or samples. Unit: kWh."""
    events: Optional[int]
    """Events of the simulation, over all layouts tried."""
    op: Optional[str]
    """Operation of a collective study."""
    size: Optional[int]
    """Buffer of a collective study, counted as nccl-tests counts it. Unit: B."""
    protocol: Optional[str]
    """Wire protocol of a collective study."""
    time_s: Optional[float]
    """Time of the communication. Unit: s."""
    algbw_bytes_per_s: Optional[float]
    """Algorithm bandwidth as nccl-tests counts it: size / time_s. Unit: B/s."""
    busbw_bytes_per_s: Optional[float]
    """Bus bandwidth as nccl-tests counts it: algbw · 2(n−1)/n for all-reduce, (n−1)/n for all-gather, reduce-scatter and all-to-all, 1 otherwise. Unit: B/s."""
    protocol_used: Optional[str]
    """Wire protocol that carried the communication."""
